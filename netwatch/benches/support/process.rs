//! Whole processes: on which CPU they run, and what they have used.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::{Context as _, bail};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// From before its start until after its end.
    pub wall: Duration,
    /// In user mode and in the kernel.
    pub cpu: Duration,
    /// The most memory that it had at a time. It cannot be less than what this process had when it started the
    /// other one, which is some megabytes: captures are written, never held.
    pub rss_bytes: u64,
}

/// Keeps this thread, and all processes that it will start, on the last CPU that it may use: the first one often has
/// the interrupts.
pub fn stay_on_one_cpu() -> anyhow::Result<usize> {
    let last = last_cpu()?;
    stay_on(last)?;
    Ok(last)
}

/// Keeps this thread on a CPU.
pub fn stay_on(cpu: usize) -> anyhow::Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &only).context("stay on one CPU")
}

/// The last CPU that this thread may use.
pub fn last_cpu() -> anyhow::Result<usize> {
    cpus()?.pop().context("no CPU to run on")
}

/// The CPUs that this thread may use.
pub fn cpus() -> anyhow::Result<Vec<usize>> {
    let cpus = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|cpu| cpus.is_set(*cpu).unwrap_or(false)).collect())
}

/// Takes this thread away from a CPU, if there is another one; processes that it has started stay there.
pub fn leave_cpu(cpu: usize) -> anyhow::Result<()> {
    let mut others = CpuSet::new();
    (0..CpuSet::count()).filter(|other| *other != cpu).try_for_each(|other| others.set(other))?;
    // The kernel leaves out what is not there, and refuses where nothing remains.
    let _ = sched_setaffinity(Pid::from_raw(0), &others);
    Ok(())
}

/// Runs a process whose output is nobody's affair. What it has to complain about goes to the terminal.
///
/// # Errors
/// It does not start, or does not end with success.
pub fn run(command: &mut Command) -> anyhow::Result<Used> {
    let start = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("does not start")?;
    wait(&child, start)
}

/// Waits for the end of a process that was started then.
///
/// # Errors
/// It does not end with success.
pub fn wait(child: &Child, start: Instant) -> anyhow::Result<Used> {
    let pid = libc::pid_t::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: a structure of plain numbers, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both places are valid for writing; the process is a child of this one that nobody else waits for,
        // because `Child` does so only when it is told to.
        if unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } == pid {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error).context("cannot wait for the process");
        }
    }
    let wall = start.elapsed();
    let status = ExitStatus::from_raw(status);
    if !status.success() {
        bail!("ended with {status}");
    }
    let rss_bytes = u64::try_from(usage.ru_maxrss)? * 1024;
    Ok(Used { wall, cpu: duration(usage.ru_utime)? + duration(usage.ru_stime)?, rss_bytes })
}

fn duration(time: libc::timeval) -> anyhow::Result<Duration> {
    Ok(Duration::from_secs(u64::try_from(time.tv_sec)?) + Duration::from_micros(u64::try_from(time.tv_usec)?))
}

/// What a running process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// In user mode and in the kernel, exactly: of all its threads.
    pub cpu: Duration,
    /// Memory of its own, not of files or shared, in bytes.
    pub anon_bytes: u64,
    /// Memory of files and what is shared: the program itself, and maps of the kernel that it has mapped; in bytes.
    pub mapped_bytes: u64,
    /// The most that was resident at a time, in bytes.
    pub peak_bytes: u64,
    /// How often its threads have gone to sleep, and so were woken.
    pub sleeps: u64,
}

/// Looks at a running process.
///
/// # Errors
/// It has ended, or `/proc` is not there.
pub fn sample(id: u32) -> anyhow::Result<Sample> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).context("the process has ended")?;
    let kilobytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
        line.and_then(|number| number.parse::<u64>().ok()).map_or(0, |number| number * 1024)
    };
    let mut sample = Sample {
        anon_bytes: kilobytes("RssAnon:"),
        mapped_bytes: kilobytes("RssFile:") + kilobytes("RssShmem:"),
        peak_bytes: kilobytes("VmHWM:"),
        ..Sample::default()
    };
    for task in fs::read_dir(format!("/proc/{id}/task"))?.flatten() {
        // A thread may end while one looks.
        let Ok(schedstat) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        let ns = schedstat.split(' ').next().and_then(|ns| ns.parse().ok());
        sample.cpu += Duration::from_nanos(ns.unwrap_or(0));
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sample.sleeps += sleeps.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sample)
}
