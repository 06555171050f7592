//! Who has logged in from a browser: sessions, and those who guess.
//!
//! Of a session, only a hash stays in memory, and none outlives netwatch or its token.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::limits::{GUESS_TIME, GUESSERS, GUESSES, SESSION, SESSIONS};

/// The cookie's name.
const COOKIE: &str = "netwatch_session";

/// Those who have logged in.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Vec<Session>>);

struct Session {
    hash: [u8; 32],
    used: Instant,
}

impl Sessions {
    /// Begins one. What the browser is to send from now on; none where the system has no random numbers.
    pub fn begin(&self, now: Instant) -> Option<String> {
        let mut secret = [0; 32];
        rustls::crypto::ring::default_provider().secure_random.fill(&mut secret).ok()?;
        let text: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|session| now.duration_since(session.used) < SESSION);
        if sessions.len() >= SESSIONS {
            let oldest = (0..sessions.len()).min_by_key(|place| sessions[*place].used);
            sessions.swap_remove(oldest?);
        }
        sessions.push(Session { hash: hash(&text), used: now });
        Some(text)
    }

    /// Whether a request is of one that goes on, which it then does for longer.
    pub fn admits(&self, headers: &HeaderMap, now: Instant) -> bool {
        let Some(hash) = cookie(headers).map(hash) else { return false };
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_one = false;
        for session in &mut *sessions {
            if bool::from(session.hash.ct_eq(&hash)) && now.duration_since(session.used) < SESSION {
                session.used = now;
                is_one = true;
            }
        }
        is_one
    }

    /// Ends that of a request.
    pub fn end(&self, headers: &HeaderMap) {
        let Some(hash) = cookie(headers).map(hash) else { return };
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|session| !bool::from(session.hash.ct_eq(&hash)));
    }

    /// Ends all.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// What a browser is told to keep; over TLS it never sends that in the clear.
pub(super) fn set_cookie(secret: &str, is_tls: bool) -> String {
    let secure = if is_tls { "; Secure" } else { "" };
    format!("{COOKIE}={secret}; HttpOnly; SameSite=Strict; Path=/{secure}")
}

/// What a browser is told to forget.
pub(super) fn drop_cookie() -> String {
    format!("{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0")
}

/// The session that a request names.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Who has given a wrong token lately, and how often.
#[derive(Default)]
pub(super) struct Guesses(Mutex<HashMap<IpAddr, (Instant, u32)>>);

impl Guesses {
    /// How long somebody has to wait before the next try; none where they need not.
    pub fn wait(&self, who: IpAddr, now: Instant) -> Option<Duration> {
        let guesses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = *guesses.get(&who_counts(who))?;
        (count >= GUESSES).then(|| GUESS_TIME.checked_sub(now.duration_since(since))).flatten()
    }

    /// Notes a wrong one.
    pub fn note(&self, who: IpAddr, now: Instant) {
        let who = who_counts(who);
        let mut guesses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guesses.retain(|_, (since, _)| now.duration_since(*since) < GUESS_TIME);
        if guesses.len() >= GUESSERS && !guesses.contains_key(&who) {
            let oldest = guesses.iter().min_by_key(|(_, (since, _))| *since).map(|(who, _)| *who);
            oldest.and_then(|oldest| guesses.remove(&oldest));
        }
        guesses.entry(who).or_insert((now, 0)).1 += 1;
    }
}

/// Who has one address of a /64 has all of them.
fn who_counts(who: IpAddr) -> IpAddr {
    match who.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(secret: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("a=b; {COOKIE}={secret}; c=d").parse().unwrap());
        headers
    }

    #[test]
    fn a_session_goes_on_while_it_is_used_and_of_too_many_the_oldest_goes() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let first = sessions.begin(start).unwrap();
        assert_eq!(first.len(), 64);
        assert!(sessions.admits(&with(&first), start));
        let later = start + SESSION / 2;
        assert!(sessions.admits(&with(&first), later));
        assert!(sessions.admits(&with(&first), later + SESSION / 2));
        let end = later + SESSION / 2 + SESSION;
        assert!(!sessions.admits(&with(&first), end));
        for wrong in ["", "x", &first[1..], &first.to_uppercase()] {
            assert!(!sessions.admits(&with(wrong), start), "{wrong}");
        }
        assert!(!sessions.admits(&HeaderMap::new(), start));

        let many: Vec<_> =
            (0..=SESSIONS).map(|at| sessions.begin(end + Duration::from_secs(at as u64)).unwrap()).collect();
        let now = end + Duration::from_secs(1_000);
        assert!(!sessions.admits(&with(&many[0]), now));
        assert!(many[1..].iter().all(|one| sessions.admits(&with(one), now)));
        sessions.end(&with(&many[7]));
        assert!(!sessions.admits(&with(&many[7]), now));
        sessions.clear();
        assert!(!sessions.admits(&with(&many[8]), now));
    }

    #[test]
    fn who_guesses_waits_and_nobody_else() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        let addr = |text: &str| text.parse::<IpAddr>().unwrap();
        for _ in 0..GUESSES {
            assert_eq!(guesses.wait(addr("2001:db8::1"), start), None);
            guesses.note(addr("2001:db8::1"), start);
        }
        assert_eq!(guesses.wait(addr("2001:db8::2"), start), Some(GUESS_TIME), "of the same network");
        assert_eq!(guesses.wait(addr("2001:db8:0:1::1"), start), None);
        assert_eq!(guesses.wait(addr("2001:db8::1"), start + GUESS_TIME * 2), None);
        for last in 0..2 * u32::try_from(GUESSERS).unwrap() {
            guesses.note(IpAddr::V4((0x0a00_0000 + last).into()), start);
        }
        assert_eq!(guesses.0.lock().unwrap().len(), GUESSERS);
    }
}
