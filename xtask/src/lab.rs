//! A laboratory: two network namespaces, joined by a pair of virtual Ethernet interfaces.
//!
//! ```text
//!   watched side                          outside
//!   nw0  198.51.100.1  2001:db8:1::1  ══  nw1  198.51.100.2  2001:db8:1::2
//! ```
//!
//! Neither namespace has a name: each lives only through the descriptors that this process holds, so the kernel
//! takes both away when the process ends, in whatever way it ends. Nothing in here leads out of the two.
//!
//! Both kernels answer for the addresses they own: the watched side resets connections to closed ports and
//! replies to pings, and so does the outside. A test that counts packets exactly therefore sends from addresses
//! that nobody owns, in 203.0.113.0/24 say, and the answers to them end at the outside without a word.
//!
//! Needs root and the `ip` command of iproute2.

use std::fs::{self, File};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, panic, process, thread};

use anyhow::{Context, Result, bail, ensure};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::getppid;

use crate::traffic::frame::{Mac, OUTSIDE_MAC, WATCHED_MAC};
use crate::traffic::sender::{Counters, Sender};

/// What a laboratory should be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabOptions {
    /// The largest packet that fits into one frame, in bytes, on both sides.
    ///
    /// Native XDP takes more than about 3,500 only with a program that knows frames of several buffers.
    pub mtu: u32,
    /// Whether the two sides keep silent until they are spoken to.
    ///
    /// Then neither asks for the other's link-layer address, announces itself or joins a group, so that every
    /// packet on the link is one that a test has sent, or the answer to it.
    pub quiet: bool,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self { mtu: 1500, quiet: true }
    }
}

/// Two joined network namespaces. They end with this value.
#[derive(Debug)]
pub struct Lab {
    watched: Side,
    outside: Side,
    options: LabOptions,
}

impl Lab {
    /// A quiet laboratory with ordinary Ethernet frames.
    ///
    /// # Errors
    ///
    /// See [`with`](Self::with).
    pub fn new() -> Result<Self> {
        Self::with(LabOptions::default())
    }

    /// A laboratory made to measure.
    ///
    /// # Errors
    ///
    /// Where the process may not make namespaces, or `ip` is missing or refuses.
    pub fn with(options: LabOptions) -> Result<Self> {
        let (near, far) = (Namespace::new()?, Namespace::new()?);
        let watched = Side {
            namespace: near.clone(),
            peer: far.clone(),
            peer_interface: "nw1",
            quiet: options.quiet,
            interface: "nw0",
            mac: WATCHED_MAC,
            ipv4: Ipv4Addr::new(198, 51, 100, 1),
            ipv6: Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1),
        };
        let outside = Side {
            namespace: far,
            peer: near,
            peer_interface: "nw0",
            quiet: options.quiet,
            interface: "nw1",
            mac: OUTSIDE_MAC,
            ipv4: Ipv4Addr::new(198, 51, 100, 2),
            ipv6: Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2),
        };
        let lab = Self { watched, outside, options };
        for side in [&lab.watched, &lab.outside] {
            side.run(|| calm(options.quiet))??;
            side.namespace.ip("link set lo up")?;
        }
        lab.plug()?;
        Ok(lab)
    }

    /// The side whose interface netwatch looks at.
    #[must_use]
    pub fn watched(&self) -> &Side {
        &self.watched
    }

    /// The side that all traffic comes from.
    #[must_use]
    pub fn outside(&self) -> &Side {
        &self.outside
    }

    /// Puts a network behind the watched side, which answers for all its addresses, and sends the outside there.
    ///
    /// # Errors
    ///
    /// Where `ip` refuses, because such a route is there already for instance.
    pub fn add_network(&self, network: Ipv4Addr, prefix: u8) -> Result<()> {
        self.watched.namespace.ip(&format!("route add local {network}/{prefix} dev lo"))?;
        let (gateway, interface) = (self.watched.ipv4, self.outside.interface);
        self.outside.namespace.ip(&format!("route add {network}/{prefix} via {gateway} dev {interface}"))
    }

    /// Deletes both interfaces, as when a card is pulled out or a container stops.
    ///
    /// # Errors
    ///
    /// Where they are gone already.
    pub fn unplug(&self) -> Result<()> {
        self.watched.namespace.ip(&format!("link delete {}", self.watched.interface))
    }

    /// Makes both interfaces anew after [`unplug`](Self::unplug), with other indices and the first addresses.
    ///
    /// # Errors
    ///
    /// Where they are there already.
    pub fn plug(&self) -> Result<()> {
        let (near, far, mtu) = (&self.watched, &self.outside, self.options.mtu);
        near.namespace.ip(&format!(
            "link add {} mtu {mtu} address {} type veth peer name {} mtu {mtu} address {} netns {}",
            near.interface,
            colons(near.mac),
            far.interface,
            colons(far.mac),
            far.namespace.path(),
        ))?;
        near.configure(far)?;
        far.configure(near)?;
        // The outside's stack must not complain about answers to senders that do not exist. It forwards nothing,
        // and over IPv4 that is enough; over IPv6 it would report each of them as unreachable.
        far.namespace.ip("route replace blackhole ::/0")?;
        // Whatever an address may not lead to lies outside, so that every answer has somewhere to go.
        near.namespace.ip(&format!(
            "route add 0.0.0.0/0 via {} dev {nw0}\nroute add ::/0 via {} dev {nw0}",
            far.ipv4,
            far.ipv6,
            nw0 = near.interface,
        ))
    }
}

/// One side of a laboratory.
#[derive(Debug)]
pub struct Side {
    namespace: Namespace,
    peer: Namespace,
    peer_interface: &'static str,
    quiet: bool,
    interface: &'static str,
    mac: Mac,
    ipv4: Ipv4Addr,
    ipv6: Ipv6Addr,
}

impl Side {
    /// The name of the interface that leads to the other side.
    #[must_use]
    pub fn interface(&self) -> &'static str {
        self.interface
    }

    /// The interface's link-layer address.
    #[must_use]
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// The interface's IPv4 address, in a network of 24 bits.
    #[must_use]
    pub fn ipv4(&self) -> Ipv4Addr {
        self.ipv4
    }

    /// The interface's IPv6 address, in a network of 64 bits.
    #[must_use]
    pub fn ipv6(&self) -> Ipv6Addr {
        self.ipv6
    }

    /// A command that will run on this side.
    ///
    /// It is killed when the **thread** that started it ends, so that it never outlives the laboratory. That
    /// does not hold for children of its own.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.namespace.command(program)
    }

    /// Runs `work` in a thread on this side and waits for it.
    ///
    /// Sockets and BPF links that it opens stay on this side when it hands them back. `/sys` shows the
    /// caller's namespace all the same, and so does `/proc/net`; `/proc/thread-self/net` is the right one.
    ///
    /// # Errors
    ///
    /// Where the thread cannot enter the namespace. A panic of `work` goes on in the caller.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        self.namespace.run(work)
    }

    /// A sender on this side's interface.
    ///
    /// # Errors
    ///
    /// See [`Sender::open`].
    pub fn sender(&self) -> Result<Sender> {
        self.run(|| Sender::open(self.interface))?
    }

    /// What the interface has counted since it was made.
    ///
    /// # Errors
    ///
    /// While the interface is unplugged.
    pub fn counters(&self) -> Result<Counters> {
        self.run(|| Counters::of(self.interface))?
    }

    /// Waits until the interface has received `packets` since it was made, XDP programs included.
    ///
    /// # Errors
    ///
    /// Where they have not come within `patience`, with the number of those that have.
    pub fn received(&self, packets: u64, patience: Duration) -> Result<Counters> {
        let start = Instant::now();
        loop {
            let counters = self.counters()?;
            if counters.rx_packets >= packets {
                return Ok(counters);
            }
            let got = counters.rx_packets;
            ensure!(start.elapsed() < patience, "{} has received {got} packets of {packets}", self.interface);
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Gives the interface one more address, and in a quiet laboratory tells the other side where it is.
    ///
    /// # Errors
    ///
    /// Where `ip` refuses, because the address is there already for instance.
    pub fn add_address(&self, address: IpAddr, prefix: u8) -> Result<()> {
        self.namespace.ip(&format!("address add {address}/{prefix} dev {}", self.interface))?;
        if self.quiet {
            self.peer.ip(&neighbour(address, self.mac, self.peer_interface))?;
        }
        Ok(())
    }

    /// Brings the interface up with its addresses.
    fn configure(&self, other: &Self) -> Result<()> {
        let nw = self.interface;
        // Without ARP the kernel neither resolves IPv6 neighbours nor joins their groups.
        let arp = if self.quiet { "off" } else { "on" };
        let mut batch = format!(
            "link set {nw} arp {arp}\nlink set {nw} up\naddress add {}/24 dev {nw}\naddress add {}/64 dev {nw} nodad\n",
            self.ipv4, self.ipv6,
        );
        if self.quiet {
            batch += &neighbour(other.ipv4.into(), other.mac, nw);
            batch += &neighbour(other.ipv6.into(), other.mac, nw);
        }
        self.namespace.ip(&batch)
    }
}

/// A network namespace without a name.
#[derive(Clone, Debug)]
struct Namespace(Arc<OwnedFd>);

impl Namespace {
    fn new() -> Result<Self> {
        // A thread of its own, because leaving the caller's namespace is a matter of threads.
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace; this needs root")?;
            let file =
                File::open("/proc/thread-self/ns/net").context("opening the network namespace made")?;
            anyhow::Ok(Self(Arc::new(file.into())))
        });
        made.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
    }

    /// Where other processes find the namespace as long as this one lives.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", process::id(), self.0.as_raw_fd())
    }

    fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let inside = || {
            setns(self.0.as_fd(), CloneFlags::CLONE_NEWNET).context("entering a network namespace")?;
            Ok(work())
        };
        thread::scope(|scope| scope.spawn(inside).join().unwrap_or_else(|panic| panic::resume_unwind(panic)))
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let namespace = Arc::clone(&self.0);
        let parent = nix::unistd::getpid();
        let enter = move || -> io::Result<()> {
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            if getppid() != parent {
                // The parent ended before the line above, which therefore never fires.
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            setns(&*namespace, CloneFlags::CLONE_NEWNET)?;
            Ok(())
        };
        let mut command = Command::new(program);
        // SAFETY: between fork and exec the closure makes three system calls. It takes no lock and allocates
        // nothing, and the descriptor it uses is its own.
        unsafe { command.pre_exec(enter) };
        command
    }

    /// Runs lines of `ip` commands, up to the first that fails.
    fn ip(&self, lines: &str) -> Result<()> {
        let mut ip = self
            .command("ip")
            .args(["-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("running `ip`; install iproute2")?;
        if let Some(mut input) = ip.stdin.take() {
            input.write_all(lines.as_bytes()).context("writing to `ip`")?;
            input.write_all(b"\n").context("writing to `ip`")?;
        }
        let output = ip.wait_with_output().context("waiting for `ip`")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`ip` refused:\n{}\nin\n{lines}", complaint.trim());
        Ok(())
    }
}

/// Turns off what the kernel would send by itself, for interfaces yet to be made in the current namespace.
fn calm(quiet: bool) -> Result<()> {
    let always = [
        // A host that forwards, for its containers perhaps, hands that down to new namespaces.
        ("ipv4/ip_forward", "0"),
        ("ipv6/conf/default/accept_dad", "0"), // addresses are usable at once
        ("ipv6/conf/default/dad_transmits", "0"),
        ("ipv4/conf/all/rp_filter", "0"), // answers go out to any source
        ("ipv4/conf/default/rp_filter", "0"),
    ];
    let silent = [
        ("ipv6/conf/default/addr_gen_mode", "1"), // no link-local address
        ("ipv6/conf/default/router_solicitations", "0"),
        ("ipv6/conf/default/accept_ra", "0"),
        ("ipv6/conf/default/autoconf", "0"),
    ];
    for (name, value) in always.iter().chain(silent.iter().filter(|_| quiet)) {
        let path = format!("/proc/sys/net/{name}");
        match fs::write(&path, value) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                bail!("{path} is missing; the laboratory needs a kernel with IPv6")
            }
            written => written.with_context(|| format!("writing {value} to {path}"))?,
        }
    }
    Ok(())
}

/// The `ip` line that says where `address` is.
fn neighbour(address: IpAddr, mac: Mac, interface: &str) -> String {
    format!("neighbour replace {address} lladdr {} dev {interface} nud permanent\n", colons(mac))
}

fn colons(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
