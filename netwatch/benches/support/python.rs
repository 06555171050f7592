//! The Scapy loops: where Python and Scapy are, and how Scapy gets there.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::table::note;

/// The release that is installed where there is none.
const SCAPY: &str = "scapy==2.8.0";

/// A Python that has Scapy.
pub struct Python {
    program: PathBuf,
    /// Where Scapy lies, unless it is Python's own.
    path: Option<PathBuf>,
}

impl Python {
    /// Finds Scapy, or installs it into `target/tools`.
    ///
    /// # Errors
    /// It is not there and cannot be installed; the text says what to do.
    pub fn with_scapy() -> Result<Self, String> {
        let program = interpreter("python3").ok_or("not installed: there is no python3")?;
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools");
        let (folder, own) = (tools.join("scapy"), tools.join("scapy-venv"));
        let known = [
            Some(Self { program: program.clone(), path: None }),
            Some(Self { program: program.clone(), path: Some(folder.clone()) }),
            interpreter(own.join("bin/python3")).map(|program| Self { program, path: None }),
        ];
        if let Some(python) = known.into_iter().flatten().find(Self::has_scapy) {
            return Ok(python);
        }
        note(&format!("{SCAPY}, into target/tools"));
        let python = Self { program: program.clone(), path: Some(folder.clone()) };
        if succeeds(install(&program).arg("--target").arg(&folder)) && python.has_scapy() {
            give_to_owner_of(&tools, &folder);
            return Ok(python);
        }
        // Debian's Python comes without pip, which an environment of its own may have.
        if succeeds(Command::new(&program).args(["-m", "venv"]).arg(&own))
            && let Some(program) = interpreter(own.join("bin/python3"))
            && succeeds(&mut install(&program))
        {
            give_to_owner_of(&tools, &own);
            return Ok(Self { program, path: None });
        }
        // Half of it would be in the way of the next try.
        let _ = (fs::remove_dir_all(&folder), fs::remove_dir_all(&own));
        Err("not installed: `apt install python3-scapy` or `python3 -m pip install scapy`".to_owned())
    }

    /// A script of it, as a command that somebody else has made, in a network namespace for instance.
    pub fn script(&self, make: impl FnOnce(&Path) -> Command, script: &str) -> Command {
        let mut command = make(&self.program);
        command.envs(self.path.as_ref().map(|path| ("PYTHONPATH", path))).arg(script);
        command
    }

    fn has_scapy(&self) -> bool {
        succeeds(self.command().args(["-c", "import scapy.all"]))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.envs(self.path.as_ref().map(|path| ("PYTHONPATH", path)));
        command
    }
}

/// The interpreter itself, where the name may be that of a script that chooses one.
fn interpreter(name: impl AsRef<Path>) -> Option<PathBuf> {
    let ask = ["-c", "import sys; print(sys.executable)"];
    let output = Command::new(name.as_ref()).args(ask).stderr(Stdio::null()).output().ok()?;
    let path = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(PathBuf::from(path.trim_end()))
}

fn install(program: &Path) -> Command {
    let mut pip = Command::new(program);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", SCAPY]);
    pip
}

/// Whether a command ends well; what it says is nobody's affair.
fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Root's files in a user's checkout would be in the user's way.
fn give_to_owner_of(folder: &Path, new: &Path) {
    let mut reference = OsString::from("--reference=");
    reference.push(folder);
    succeeds(Command::new("chown").arg("--recursive").arg(reference).arg(new));
}
