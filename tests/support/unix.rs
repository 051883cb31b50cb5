//! Servers with Unix sockets, and peers of other users.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use socket2::{Domain, Socket, Type};

use super::namespace::skip_outside_ci;
use super::{Control, STATE_DIRECTORY, Server, lines_of, wait_for};

/// The user `nobody`, and its group.
pub const NOBODY: u32 = 65534;

/// A directory of one test, which is removed with all that is in it. Its path is short, because the address
/// of a Unix socket has at most 107 bytes.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("rc-{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                // A test that was killed has left it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => {
                    made.expect("a directory");
                    return Self(path);
                }
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns the number of files in it.
    pub fn count(&self) -> usize {
        fs::read_dir(&self.0).expect("a directory").count()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A test that failed may have removed it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server with a Unix socket in a directory of its own.
pub struct UnixServer {
    pub server: Server,
    pub path: PathBuf,
    pub directory: Directory,
}

impl UnixServer {
    /// Starts a server on a Unix socket, and on TCP and UDP.
    pub fn start(options: &[&str]) -> Self {
        Self::start_in(Directory::new(), &[&["--bind", "127.0.0.1"], options].concat(), 2)
    }

    /// Starts a server on a Unix socket alone.
    pub fn start_alone(options: &[&str]) -> Self {
        Self::start_in(Directory::new(), options, 1)
    }

    fn start_in(directory: Directory, options: &[&str], addresses: usize) -> Self {
        let path = directory.file("chat");
        let mut command = server_at(&path);
        command.args(options);
        Self { server: Server::spawn(command, addresses), path, directory }
    }

    pub fn connect(&self) -> Control {
        connect(&self.path)
    }

    /// Connects as another user, if the test runs as root.
    pub fn connect_as(&self, uid: u32) -> io::Result<Control> {
        connect_as(&self.path, uid)
    }
}

/// Returns the command of a server on this Unix socket.
pub fn server_at(path: &Path) -> Command {
    let mut command = bare_server();
    command.arg("--bind").arg(format!("unix:{}", path.display()));
    command
}

/// Returns the command of a server with free ports.
pub fn bare_server() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reactor-chat"));
    command.args(["--tcp-port", "0", "--udp-port", "0"]);
    command
}

pub fn connect(path: &Path) -> Control {
    Control::over_unix(UnixStream::connect(path).expect("a connection"))
}

/// Connects to a name in the abstract namespace.
pub fn connect_to_name(name: &str) -> Control {
    let address = SocketAddr::from_abstract_name(name).expect("a name");
    Control::over_unix(UnixStream::connect_addr(&address).expect("a connection"))
}

/// Connects as another user. A child of that user connects a socket of ours: the kernel notes the user who
/// calls connect(2) (`SO_PEERCRED`, unix(7)).
pub fn connect_as(path: &Path, uid: u32) -> io::Result<Control> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Perl is in every Debian, and another user may run it. The test's own program lies in a directory
    // that may be private.
    let script = "use Socket; connect(STDIN, sockaddr_un($ARGV[0])) or exit $!; exit 0";
    let mut child = Command::new("perl")
        .args(["-e", script])
        .arg(path)
        .uid(uid)
        .gid(uid)
        .stdin(OwnedFd::from(socket.try_clone()?))
        .spawn()?;
    match child.wait()?.code() {
        Some(0) => Ok(Control::over_unix(OwnedFd::from(socket).into())),
        Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        None => Err(io::Error::other("perl was ended by a signal")),
    }
}

/// Returns true if the test can be other users, because root runs it. Otherwise a line says that `what` is not
/// tested, and in CI the test fails.
pub fn can_be_others(what: &str) -> bool {
    let is_root = user() == 0;
    if !is_root {
        skip_outside_ci(what, "only root can be other users");
    }
    is_root
}

/// Returns our user id.
pub fn user() -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").expect("proc(5)").uid()
}

/// Waits until a server ends that cannot start, and returns its status and its last line.
pub fn refused(mut command: Command) -> (Option<i32>, String) {
    command.env_remove("RUST_LOG").env(STATE_DIRECTORY, env!("CARGO_TARGET_TMPDIR"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut server = Guest(command.spawn().expect("the built server"));
    let lines = lines_of(server.0.stderr.take().expect("piped"));
    let status = wait_for("the end of a server", || server.0.try_wait().expect("a child"));
    (status.code(), lines.iter().last().unwrap_or_default())
}

/// A child that does not outlive its test.
pub struct Guest(pub Child);

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
