//! One evaluation: the window is looked at through the rules, and findings become incidents.

mod addresses;

use netwatch_common::{Addr, Hint};

use super::crowd::Crowd;
use super::dest::{self, Senders};
use super::early::Look;
use super::events::Event;
use super::finding::{Check, Evidence, Finding, Permit, RuleSet};
use super::incident::{self, Fingerprint, InterfaceId, Moment, Sent};
use super::incidents::{Incidents, Side};
use super::limits::FLOODED_DESTS;
use super::memory::{SharedScan, SlowScan};
use super::policy::Policy;
use super::rules::{Reach, RuleId};
use super::slot::{Confidence, Health, Slot};
use super::source::{self, EARLY};
use super::stats::SourceStats;
use super::transition::Transition;
use super::view::{DestView, SourceView};
use super::window::{Now, Window};
use super::{Knowledge, Setting};

/// The evaluation of one interface at one time.
pub(super) struct Evaluation<'a> {
    pub(super) setting: &'a Setting,
    pub(super) policy: &'a Policy,
    pub(super) incidents: &'a mut Incidents,
    pub(super) id: InterfaceId,
    pub(super) name: &'a str,
    pub(super) now_ns: u64,
    pub(super) confidence: Confidence,
    pub(super) transitions: Vec<Transition>,
}

impl<'a> Evaluation<'a> {
    /// Evaluates the window after a slot, or a part of one, was added to it; that is `drained`.
    ///
    /// Of sources that sent nothing in the newest slot, there is less than before: only those that have incidents, or
    /// were notable, are looked at, unless the policy has changed since.
    pub(super) fn slot(
        &mut self,
        window: &Window,
        known: &mut Knowledge,
        drained: &Slot,
        listed: Vec<Event>,
    ) {
        self.floods(window, known, drained);
        // What was sent before something had to be learned is no surprise either.
        let before = window.last(if known.is_policy_new { usize::MAX } else { 0 });
        known.learned.learn(drained, before, self.policy);
        known.notable_before = core::mem::take(&mut known.notable);
        for (slots, rules) in groups(self.policy, self.setting) {
            self.sources(window, known, drained, slots, rules);
        }
        known.is_policy_new = false;
        self.shared_scans(window, known, drained);
        self.turn_events(window, known, drained.number, listed);
        self.itself(window, drained);
        known.memory.tidy(self.now_ns);
        self.incidents.forget(self.now_ns);
    }

    /// Evaluates the sources that hints tell of, before their slot ends.
    pub(super) fn hints(
        &mut self,
        window: &Window,
        known: &mut Knowledge,
        hints: &[Hint],
        look: &mut impl Look,
    ) {
        let Knowledge { memory, early, notable, .. } = known;
        let sources =
            early.take(hints, self.setting.one_cpu, |source| notable.binary_search(&source).is_ok());
        for addr in sources {
            let (stats, targets, ports) = early.look(addr, look);
            let now = Now { stats, targets: &targets, ports: ports.as_ref() };
            // Where neither the slots before nor this one hold half of what breaks a rule, both together do not.
            let is_notable =
                notable.binary_search(&addr).is_ok() || self.is_notable_by_itself(window, addr, &now);
            if !is_notable {
                continue;
            }
            for (slots, rules) in groups(self.policy, self.setting) {
                let counted = (self.policy.counting, self.confidence);
                let view = window.source_now(slots, addr, &now, counted);
                let case = source::Case {
                    view: &view,
                    newest: stats,
                    newest_ns: self.setting.slot_ns,
                    slow: memory.slow_scan(addr, 0, self.now_ns),
                    baseline: None,
                    rules: rules.only(EARLY).without(if early.may_tell_flood() {
                        RuleSet::default()
                    } else {
                        RuleSet::of(&[RuleId::DosUnsolicited])
                    }),
                    early: true,
                };
                if case.may_fire(self.policy) {
                    let told = self.transitions.len();
                    self.source(&case, window, slots, &Sent::Early(stats));
                    let new = self.transitions.get(told..).unwrap_or(&[]);
                    if new.iter().any(|transition| transition.rule == RuleId::DosUnsolicited) {
                        early.flood_told(addr);
                    }
                }
            }
        }
    }

    /// Whether what a source has sent in the slot that goes on is notable without the slots before.
    fn is_notable_by_itself(&self, window: &Window, addr: Addr, now: &Now<'_>) -> bool {
        let view = window.source_now(1, addr, now, (self.policy.counting, self.confidence));
        let case = source::Case {
            view: &view,
            newest: now.stats,
            newest_ns: self.setting.slot_ns,
            slow: SlowScan::default(),
            baseline: None,
            rules: EARLY,
            early: true,
        };
        case.is_notable(self.policy, &[]) && case.is_notable(self.policy, &self.checks_of(addr))
    }

    /// What a source has incidents of; sorted.
    fn checks_of(&self, addr: Addr) -> Vec<Check> {
        self.incidents.checks(self.id, addr, Side::Source)
    }

    /// The rules about what floods destinations. They come first, because they explain what sources do.
    fn floods(&mut self, window: &Window, known: &mut Knowledge, drained: &Slot) {
        let Knowledge { usual, .. } = known;
        let slots = slots_of(RuleId::FloodSyn, self.policy, self.setting);
        let mut followed = self.incidents.followed(self.id, Side::Dest).into_iter().peekable();
        let (mut suspects, mut quiet) = (Vec::new(), Vec::new());
        let mut looks = FLOODED_DESTS;
        window.for_each_dest(slots, |view| {
            while let Some(gone) = followed.next_if(|addr| *addr < view.addr) {
                suspects.push(DestView::nothing(gone));
            }
            let is_followed = followed.next_if_eq(&view.addr).is_some();
            let case = self.case_of_dest(view, window, dest::FLOODS, usual.p99(view.addr));
            let fires = case.may_fire(self.policy);
            if !fires && view.unsolicited() > 0 && self.policy.is_ours(view.addr) {
                quiet.push((view.addr, source::per_second(view.unsolicited(), self.setting.slot_ns)));
            }
            if is_followed || (fires && looks > 0) {
                looks = looks.saturating_sub(usize::from(!is_followed));
                suspects.push(view.clone());
            }
        });
        suspects.extend(followed.map(DestView::nothing));

        let cases: Vec<_> = suspects
            .iter()
            .map(|view| self.case_of_dest(view, window, dest::FLOODS, usual.p99(view.addr)))
            .collect();
        let checks: Vec<_> = cases
            .iter()
            .map(|case| {
                let followed = self.incidents.checks(self.id, case.view.addr, Side::Dest);
                case.checks(self.policy, &followed)
            })
            .collect();
        // Who sends is asked once for all of them: there may be very many sources.
        let crowd = Crowd::of(window, slots, cases.iter().zip(&checks), self.confidence);
        for (case, checks) in cases.iter().zip(&checks) {
            self.dest(case, checks, window, slots, drained, |check| crowd.senders(case.view.addr, check));
        }
        usual.learn(&quiet, drained.length_ns());
    }

    /// The rule about what many sources do together. It comes last: what a source does alone is no part of it.
    fn shared_scans(&mut self, window: &Window, known: &mut Knowledge, drained: &Slot) {
        let reach_ns = self.policy.memory_ns(RuleId::ScanDistributed);
        let slots = self.setting.window_slots;
        let threshold = self.policy.of(RuleId::ScanDistributed).threshold;
        let followed = self.incidents.followed(self.id, Side::Dest);
        let scans = known.memory.shared_scans(reach_ns, threshold, &followed, self.now_ns);
        let mut evaluate = |addr, shared| {
            let view = window.dest(slots, addr);
            let case = dest::Case { shared, ..self.case_of_dest(&view, window, dest::SHARED, None) };
            let checks = case.checks(self.policy, &[]);
            self.dest(&case, &checks, window, slots, drained, |_| Senders::default());
        };
        let mut followed = followed.into_iter().peekable();
        for (addr, shared) in scans {
            while let Some(gone) = followed.next_if(|one| *one < addr) {
                evaluate(gone, SharedScan::default());
            }
            followed.next_if_eq(&addr);
            evaluate(addr, shared);
        }
        followed.for_each(|gone| evaluate(gone, SharedScan::default()));
    }

    /// The rules about sources that look at the last `slots`.
    fn sources(
        &mut self,
        window: &Window,
        known: &mut Knowledge,
        drained: &Slot,
        slots: usize,
        rules: RuleSet,
    ) {
        let Knowledge { memory, notable, notable_before, is_policy_new, learned, .. } = known;
        let baseline = learned.baseline(self.policy);
        let remembers = rules.contains(RuleId::ScanSlow);
        let newest_ns = window.newest().map_or(1, Slot::length_ns).max(self.setting.slot_ns);
        let with_incidents = self.incidents.followed(self.id, Side::Source);
        let wanted = |addr: Addr| {
            *is_policy_new
                || with_incidents.binary_search(&addr).is_ok()
                || notable_before.binary_search(&addr).is_ok()
        };
        let mut followed = with_incidents.iter().copied().peekable();
        let mut visit = |this: &mut Self, view: &SourceView, is_followed: bool| {
            let addr = view.addr;
            let newest = window.newest().and_then(|slot| slot.source(addr)).unwrap_or_default();
            let tried = view.tcp.unanswered + view.udp.unanswered > 0;
            let is_known = remembers && memory.knows(addr);
            let targets = if remembers && (tried || is_known) { drained.targets_of(addr) } else { &[] };
            if !targets.is_empty() && !this.incidents.has_scan(this.id, addr) {
                memory.record(addr, targets, newest.completed, this.now_ns);
            }
            let reach_ns = this.policy.memory_ns(RuleId::ScanSlow);
            let slow = memory.slow_scan(addr, reach_ns, this.now_ns);
            let case = source::Case { view, newest, newest_ns, slow, baseline, rules, early: false };
            if is_followed || case.may_fire(this.policy) {
                let sent = Sent::Slot(drained.source(addr).unwrap_or_default());
                this.source(&case, window, slots, &sent);
            }
            // Most are not, and then nobody needs to know what they have incidents of.
            if notable.last() != Some(&addr)
                && case.is_notable(this.policy, &[])
                && case.is_notable(this.policy, &this.checks_of(addr))
            {
                notable.push(addr);
            }
            if remembers && this.incidents.has_scan(this.id, addr) {
                memory.forget(addr);
            } else if tried {
                memory.share(addr, targets, |dest| this.policy.is_ours(dest), this.now_ns);
            }
        };
        window.for_each_source(slots, self.policy.counting, wanted, |view| {
            while let Some(gone) = followed.next_if(|addr| *addr < view.addr) {
                visit(self, &SourceView::new(gone), true);
            }
            let is_followed = followed.next_if_eq(&view.addr).is_some();
            visit(self, view, is_followed);
        });
        for gone in followed {
            visit(self, &SourceView::new(gone), true);
        }
        notable.sort_unstable();
        notable.dedup();
    }

    /// Applies the rules to one source, in their order: what is found first may explain what comes after.
    pub(super) fn source(&mut self, case: &source::Case<'_>, window: &Window, slots: usize, sent: &Sent) {
        let addr = case.view.addr;
        let followed = self.incidents.checks(self.id, addr, Side::Source);
        // Of a network of which one host only was seen, what is said of that host holds.
        let who = incident::host(addr, case.view.stats.hosts, self.setting.ipv6_bits);
        let is_local = self.policy.is_local(who);
        let permits = self.policy.permits(who);
        for check in case.checks(self.policy, &followed) {
            let key = Fingerprint { interface: self.id, addr, check };
            let activity = self.incidents.activity(&key, case.view.main_dest());
            let permit = permits[check.rule as usize];
            let finding = case.find(check, self.policy, (is_local, permit), &activity);
            if finding.fires() || followed.binary_search(&check).is_ok() {
                // What explains a flood may come with the end of the slot.
                if case.early && finding.explained.is_some() {
                    continue;
                }
                let evidence = case.evidence(check, self.policy);
                self.advance(key, &finding, &evidence, sent, window, slots);
            }
        }
    }

    /// Applies checks to one destination.
    fn dest(
        &mut self,
        case: &dest::Case<'_>,
        checks: &[Check],
        window: &Window,
        slots: usize,
        drained: &Slot,
        senders: impl Fn(Check) -> Senders,
    ) {
        let addr = case.view.addr;
        let followed = self.incidents.checks(self.id, addr, Side::Dest);
        let permits = self.policy.permits(addr);
        for check in checks {
            let key = Fingerprint { interface: self.id, addr, check: *check };
            let activity = self.incidents.activity(&key, None);
            let permit = permits[check.rule as usize];
            let (finding, senders) = case.find(*check, self.policy, permit, &activity, || senders(*check));
            if finding.fires() || followed.binary_search(check).is_ok() {
                let evidence = case.evidence(*check, senders.count);
                let within_ns = (drained.start_ns, drained.end_ns);
                let sent = Sent::Slot(dest::sent(*check, drained.services_of(addr), within_ns));
                self.advance(key, &finding, &evidence, &sent, window, slots);
            }
        }
    }

    /// The rule about netwatch itself.
    fn itself(&mut self, window: &Window, drained: &Slot) {
        let check = Check::whole(RuleId::Degraded);
        let rule = self.policy.of(check.rule);
        let permit = if rule.enabled { Permit::Raise } else { Permit::Disabled };
        let finding = Finding::new(check, losses(&drained.health), rule.threshold, self.policy, permit);
        let key = Fingerprint { interface: self.id, addr: Addr([0; 4]), check };
        let mut stats = SourceStats {
            first_ns: drained.start_ns.max(1),
            last_ns: drained.end_ns,
            ..SourceStats::default()
        };
        stats.classes[netwatch_common::Class::Malformed as usize] = drained.health.malformed;
        let evidence = Evidence { stats, ..Evidence::default() };
        self.advance(key, &finding, &evidence, &Sent::Slot(stats), window, 1);
    }

    fn advance(
        &mut self,
        key: Fingerprint,
        finding: &Finding,
        evidence: &Evidence,
        sent: &Sent,
        window: &Window,
        slots: usize,
    ) {
        let moment = self.moment(key.check.rule, window, slots);
        let most = self.policy.notifications_per_minute;
        let transition = self.incidents.advance(key, finding, evidence, sent, &moment, most);
        self.transitions.extend(transition);
    }

    fn moment(&self, rule: RuleId, window: &Window, slots: usize) -> Moment<'a> {
        let Setting { slot_ns, window_slots, ipv6_bits, .. } = *self.setting;
        let span = |slots| window.span(slots).map_or(0, |span| span.end_ns.saturating_sub(span.start_ns));
        let window_ns = reach_ns(rule, self.policy, self.setting);
        let covered_ns = match rule.rule().reach {
            Reach::Window => span(slots),
            Reach::Slot => span(1),
            Reach::Memory { .. } => 0,
        };
        Moment {
            now_ns: self.now_ns,
            window_ns,
            covered_ns,
            // A flood that pauses for a slot is the same one.
            patience_ns: window_ns
                .max(of_slots(window_slots, slot_ns))
                .saturating_mul(incident::QUIET_WINDOWS),
            confidence: self.confidence,
            degraded: window.last(slots).any(|slot| slot.health.is_lossy()),
            interface: self.name,
            ipv6_bits,
        }
    }

    fn case_of_dest<'v>(
        &self,
        view: &'v DestView<'v>,
        window: &Window,
        rules: RuleSet,
        usual: Option<u64>,
    ) -> dest::Case<'v> {
        let newest_ns = window.newest().map_or((0, 0), |slot| (slot.start_ns, slot.end_ns));
        let (slot_ns, confidence, shared) = (self.setting.slot_ns, self.confidence, SharedScan::default());
        dest::Case { view, newest_ns, slot_ns, shared, usual, confidence, rules }
    }
}

/// What of a slot was lost or lost its name, in counts; malformed packets count where they are more than one in a hundred.
fn losses(health: &Health) -> u64 {
    const FEW: u64 = 100;
    let is_unusual = health.malformed > FEW && health.malformed * 100 > health.seen;
    let malformed = if is_unusual { health.malformed } else { 0 };
    health
        .nameless()
        .saturating_add(health.hints_lost)
        .saturating_add(health.events_lost)
        .saturating_add(health.late)
        .saturating_add(malformed)
}

/// How far back a rule looks, in nanoseconds.
pub(super) fn reach_ns(rule: RuleId, policy: &Policy, setting: &Setting) -> u64 {
    match rule.rule().reach {
        Reach::Window => of_slots(slots_of(rule, policy, setting), setting.slot_ns),
        Reach::Slot => setting.slot_ns,
        Reach::Memory { .. } => policy.memory_ns(rule),
    }
}

fn of_slots(slots: usize, slot_ns: u64) -> u64 {
    slot_ns.saturating_mul(u64::try_from(slots).unwrap_or(u64::MAX))
}

/// How many slots a rule looks at; those that look elsewhere are told with the window of all.
pub(super) fn slots_of(rule: RuleId, policy: &Policy, setting: &Setting) -> usize {
    let own_ns = policy.of(rule).window_ns.filter(|_| rule.rule().reach == Reach::Window);
    let Some(own_ns) = own_ns else { return setting.window_slots };
    let slots = usize::try_from(own_ns.div_ceil(setting.slot_ns.max(1))).unwrap_or(usize::MAX);
    slots.clamp(1, super::limits::WINDOW_SLOTS_MAX)
}

/// The rules about sources, in the order in which they are applied: what explains others comes first.
const OF_SOURCES: [RuleId; 10] = [
    RuleId::ScanStealth,
    RuleId::ScanSweepIcmp,
    RuleId::ScanVertical,
    RuleId::ScanHorizontal,
    RuleId::ScanSlow,
    RuleId::DosUnsolicited,
    RuleId::DosRate,
    RuleId::DosPackets,
    RuleId::PortHammer,
    RuleId::PortUnusual,
];

/// The rules about sources, with how many slots they look at; most often that is the same for all. Rules that look at
/// the last slot or at the memory come with the window of all. A rule with a window of its own does not come before
/// those that may explain what it finds, nor after those that it may explain.
fn groups(policy: &Policy, setting: &Setting) -> Vec<(usize, RuleSet)> {
    let mut groups: Vec<(usize, RuleSet)> = Vec::new();
    for rule in OF_SOURCES {
        let slots = slots_of(rule, policy, setting);
        match groups.last_mut() {
            Some((same, rules)) if *same == slots => rules.insert(rule),
            _ => groups.push((slots, RuleSet::of(&[rule]))),
        }
    }
    groups
}

#[cfg(test)]
mod tests;
