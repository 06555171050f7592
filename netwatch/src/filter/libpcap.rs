//! libpcap, loaded when there is an expression to compile and not before: nothing else needs it, so netwatch is not linked
//! with it.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::{self, NonNull};

use super::{Classic, Error, LinkType};

/// Names of the library: Debian's, everybody's, and that of where it was built from source.
const NAMES: [&CStr; 3] = [c"libpcap.so.0.8", c"libpcap.so.1", c"libpcap.so"];
/// Bytes that a filter may look at.
const SNAP_BYTES: c_int = 262_144;
/// `PCAP_NETMASK_UNKNOWN`: an expression about IPv4 broadcasts is refused, and so netwatch need not guess a netmask.
const NO_NETMASK: c_uint = 0xffff_ffff;
/// The most instructions that the kernel takes of classic BPF (`BPF_MAXINSNS`).
const MOST: usize = 4096;

type OpenDead = unsafe extern "C" fn(c_int, c_int) -> *mut c_void;
type Compile = unsafe extern "C" fn(*mut c_void, *mut Program, *const c_char, c_int, c_uint) -> c_int;
type Message = unsafe extern "C" fn(*mut c_void) -> *const c_char;
type FreeCode = unsafe extern "C" fn(*mut Program);
type Close = unsafe extern "C" fn(*mut c_void);

/// `struct bpf_program`.
#[repr(C)]
struct Program {
    len: c_uint,
    instructions: *mut Classic,
}

/// The functions that are used. Never unloaded: it is wanted once, and the process lives on without harm.
struct Library {
    open_dead: OpenDead,
    compile: Compile,
    message: Message,
    free_code: FreeCode,
    close: Close,
}

/// Compiles an expression.
pub(super) fn compile(expression: &str, link: LinkType) -> Result<Vec<Classic>, Error> {
    let library = Library::load().map_err(Error::NoLibpcap)?;
    let wrong = |reason: String| Error::Expression { expression: expression.to_owned(), reason };
    let text = CString::new(expression).map_err(|_| wrong("it has a zero byte".to_owned()))?;
    // SAFETY: the functions are those of pcap.h with these signatures; the handle is used while it is open, and the
    // program is freed after it was copied.
    unsafe {
        let handle = (library.open_dead)(data_link(link), SNAP_BYTES);
        if handle.is_null() {
            return Err(wrong("libpcap has no memory".to_owned()));
        }
        let mut program = Program { len: 0, instructions: ptr::null_mut() };
        let optimised = 1;
        let result = if (library.compile)(handle, &raw mut program, text.as_ptr(), optimised, NO_NETMASK) == 0
        {
            let instructions =
                std::slice::from_raw_parts(program.instructions, program.len as usize).to_vec();
            (library.free_code)(&raw mut program);
            Ok(instructions)
        } else {
            Err(wrong(CStr::from_ptr((library.message)(handle)).to_string_lossy().into_owned()))
        };
        (library.close)(handle);
        match result {
            Ok(instructions) if instructions.len() > MOST => Err(wrong("it is too long".to_owned())),
            result => result,
        }
    }
}

/// The `DLT_` number.
const fn data_link(link: LinkType) -> c_int {
    match link {
        LinkType::Ethernet => 1,
        LinkType::Ip => 12,
    }
}

impl Library {
    fn load() -> Result<Self, String> {
        let library = NAMES.iter().find_map(|name| {
            // SAFETY: the name ends with a zero byte. Loading runs the library's initialisers, of which libpcap has none.
            NonNull::new(unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) })
        });
        let library = library.ok_or_else(last_error)?;
        // SAFETY: these are functions of pcap.h, with the signatures that are given here.
        unsafe {
            Ok(Self {
                open_dead: std::mem::transmute::<*mut c_void, OpenDead>(symbol(library, c"pcap_open_dead")?),
                compile: std::mem::transmute::<*mut c_void, Compile>(symbol(library, c"pcap_compile")?),
                message: std::mem::transmute::<*mut c_void, Message>(symbol(library, c"pcap_geterr")?),
                free_code: std::mem::transmute::<*mut c_void, FreeCode>(symbol(library, c"pcap_freecode")?),
                close: std::mem::transmute::<*mut c_void, Close>(symbol(library, c"pcap_close")?),
            })
        }
    }
}

/// Where a function of the library lies.
fn symbol(library: NonNull<c_void>, name: &CStr) -> Result<*mut c_void, String> {
    // SAFETY: the library is loaded, and the name ends with a zero byte.
    let address = unsafe { libc::dlsym(library.as_ptr(), name.as_ptr()) };
    if address.is_null() { Err(last_error()) } else { Ok(address) }
}

/// What the dynamic linker says of the last failure.
fn last_error() -> String {
    // SAFETY: the text is valid until the next call of the dynamic linker on this thread, and is copied before that.
    unsafe {
        let text = libc::dlerror();
        if text.is_null() {
            "no reason given".to_owned()
        } else {
            CStr::from_ptr(text).to_string_lossy().into_owned()
        }
    }
}
