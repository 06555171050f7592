//! Where the egress program is attached, which takes note of what the host sends.

use std::io;

use aya::programs::{
    ProgramError, SchedClassifier, TcAttachType,
    links::LinkOrder,
    tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcError},
};
use aya_obj::generated::bpf_attach_type::BPF_TCX_EGRESS;
use bytemuck::{Pod, Zeroable};

use super::{Error, error, host, syscall};

/// Name of the program, and of the filter that it is under clsact.
pub(super) const PROGRAM: &str = "netwatch_egress";

/// How the egress program should be attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EgressWish {
    /// By a tcx link where the kernel has them (Linux 6.6), as a filter of the clsact qdisc elsewhere.
    #[default]
    Auto,
    /// As a filter.
    Clsact,
}

/// How the egress program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EgressHook {
    /// By a tcx link, which ends with its owner.
    Tcx,
    /// As a filter of the clsact qdisc. It outlives a crash of its owner, until netwatch starts there again; and
    /// the qdisc, which others may have come to use, stays.
    Clsact,
}

/// An attached egress program. Dropping it detaches; a filter can be taken away only by a thread in the
/// interface's network namespace.
pub(super) struct Egress {
    pub hook: EgressHook,
    program: u32,
    index: u32,
    _link: SchedClassifierLink,
}

impl Egress {
    /// Attaches `program` to the interface of this name.
    pub fn attach(program: &mut SchedClassifier, interface: &str, wish: EgressWish) -> Result<Self, Error> {
        let failed = |source| Error::System { call: "attach at egress", source };
        let index = nix::net::if_::if_nametoindex(interface)
            .map_err(|_| Error::NoSuchInterface(interface.to_owned()))?;
        let id = program.info().map_err(|error| Error::Object(error.to_string()))?.id();
        let tcx = wish == EgressWish::Auto && host::kernel_version() >= host::TCX_KERNEL;
        let (hook, options) = if tcx {
            (EgressHook::Tcx, TcAttachOptions::TcxOrder(LinkOrder::default()))
        } else {
            make_way(interface, TcAttachType::Egress, PROGRAM).map_err(failed)?;
            (EgressHook::Clsact, TcAttachOptions::Netlink(NlOptions::default()))
        };
        let link = program
            .attach_with_options(interface, TcAttachType::Egress, options)
            .and_then(|link| program.take_link(link))
            .map_err(|error| failed(error::attach_source(error)))?;
        Ok(Self { hook, program: id, index, _link: link })
    }

    /// Whether the program is still attached, as far as can be told: that of a filter is taken for granted. The
    /// calling thread must be in the interface's network namespace.
    pub fn is_attached(&self) -> bool {
        match self.hook {
            EgressHook::Tcx => {
                tcx_programs(self.index).is_ok_and(|programs| programs.contains(&self.program))
            }
            EgressHook::Clsact => true,
        }
    }
}

/// Makes sure that there is a clsact qdisc, and that no filter of this name is there that a crash has left.
pub(super) fn make_way(interface: &str, hook: TcAttachType, program: &str) -> io::Result<()> {
    match tc::qdisc_add_clsact(interface).map_err(source_of) {
        Err(error) if error.raw_os_error() != Some(libc::EEXIST) => return Err(error),
        _ => {}
    }
    match tc::qdisc_detach_program(interface, hook, program).map_err(source_of) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn source_of(error: TcError) -> io::Error {
    error::attach_source(ProgramError::TcError(error))
}

/// The programs attached by tcx to an interface's egress, by id.
fn tcx_programs(index: u32) -> io::Result<Vec<u32>> {
    // The kernel allows no more in one place.
    let mut programs = vec![0_u32; 64];
    let mut attributes = Query {
        target: index,
        attach_type: BPF_TCX_EGRESS as u32,
        query_flags: 0,
        attach_flags: 0,
        programs: programs.as_mut_ptr() as u64,
        count: u32::try_from(programs.len()).unwrap_or(u32::MAX),
        padding: 0,
        program_flags: 0,
        links: 0,
        link_flags: 0,
        revision: 0,
    };
    // SAFETY: the attributes have the layout of the command, and there is room for `count` programs.
    unsafe { syscall::bpf(syscall::QUERY, &mut attributes)? };
    programs.truncate(attributes.count as usize);
    Ok(programs)
}

/// `struct { ... } query` of `union bpf_attr` in linux/bpf.h.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Query {
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    programs: u64,
    count: u32,
    padding: u32,
    program_flags: u64,
    links: u64,
    link_flags: u64,
    revision: u64,
}

const _: () = assert!(size_of::<Query>() == 64);
