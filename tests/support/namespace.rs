//! Network namespaces for one test, where the kernel can be told to be slow or to lose datagrams.
//! More of them beside it are other machines.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::process::{Child, Command, Stdio};

use super::{Server, wait_for};

/// Set in the child that runs inside of the namespace.
const INSIDE: &str = "REACTOR_CHAT_NAMESPACE";

/// Programs that [`Machine`] and the tests that connect some of them need, IPv6 included.
pub const MACHINES: &str = "ip link set lo up && ip link add near type veth peer name far && \
    echo 0 > /proc/sys/net/ipv6/conf/near/accept_dad && \
    echo 0 > /proc/sys/net/ipv4/ip_forward && ip link delete near && \
    unshare -n nsenter --net=/proc/self/ns/net true";

/// Runs `body` in a namespace that the shell script `setup` has prepared: starts this test there
/// once more, by its name, which is part of no other name in its crate. If the machine does not allow
/// that, `what` is not tested, and a line on the terminal says so, because the output of a passing
/// test is not shown.
///
/// It requires the system's own root, who may have large socket buffers there.
pub fn in_namespace(test: &str, what: &str, setup: &str, body: impl FnOnce()) {
    in_unshared("-n", test, what, setup, body);
}

/// Runs `body` for any user: any user outside can be root inside.
pub fn in_user_namespace(test: &str, what: &str, setup: &str, body: impl FnOnce()) {
    in_unshared("-rn", test, what, setup, body);
}

fn in_unshared(unshared: &str, test: &str, what: &str, setup: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let try_it = Command::new("unshare").args([unshared, "sh", "-c", setup]).output();
    match try_it {
        Ok(output) if output.status.success() => run_inside(unshared, test, setup),
        Ok(output) => skip(what, &String::from_utf8_lossy(&output.stderr)),
        Err(error) => skip(what, &format!("unshare(1): {error}")),
    }
}

/// Prints on the terminal that something is not tested.
pub fn skip(what: &str, why: &str) {
    let line = format!("SKIPPED: {what}: {}\n", why.trim());
    io::stderr().write_all(line.as_bytes()).expect("stderr");
}

/// Skips a part for which this machine lacks something. The machines of CI have everything, so there the test
/// fails.
pub fn skip_outside_ci(what: &str, why: &str) {
    assert!(env::var_os("CI").is_none_or(|value| value != "true"), "CI must test {what}: {why}");
    skip(what, why);
}

fn run_inside(unshared: &str, test: &str, setup: &str) {
    let script = format!("{setup} && exec \"$0\" {test} --nocapture");
    let output = Command::new("unshare")
        .args([unshared, "sh", "-c", &script])
        .arg(env::current_exe().expect("this test"))
        .env(INSIDE, "1")
        .output()
        .expect("unshare(1) has just worked");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "there is no test {test}: {said}");
}

/// Another machine: a namespace beside the test's, which lives as long as this value.
pub struct Machine {
    /// A process in it. It ends with its input, and so with the test.
    holder: Child,
}

impl Machine {
    pub fn start() -> Self {
        let mut command = Command::new("unshare");
        command.args(["-n", "cat"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let machine = Self { holder: command.spawn().expect("unshare(1)") };
        let own = fs::read_link("/proc/self/ns/net").expect("proc(5)");
        wait_for("a namespace", || {
            fs::read_link(machine.path()).ok().filter(|theirs| *theirs != own)
        });
        machine.run("ip link set lo up");
        machine
    }

    /// Returns its process id for `ip link add ... netns PID`.
    pub fn pid(&self) -> u32 {
        self.holder.id()
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.pid())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path())).arg(program);
        command
    }

    /// Runs a shell script on it and returns the output.
    #[track_caller]
    pub fn run(&self, script: &str) -> String {
        output_of(self.command("sh"), script)
    }

    /// Starts a server on it that listens on all addresses of one family, `any`. Clients use `ip`.
    pub fn serve(&self, any: &str, ip: &str) -> Server {
        let mut command = self.command(env!("CARGO_BIN_EXE_reactor-chat"));
        command.args(["--bind", any, "--tcp-port", "0", "--udp-port", "0"]);
        command.args(["--rate-limit", "0", "--max-unproved", "0"]);
        let mut server = Server::spawn(command, 1);
        let ip = ip.parse().expect("an address");
        server.tcp.set_ip(ip);
        server.udp.set_ip(ip);
        server
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Runs a shell script in the test's namespace and returns the output.
#[track_caller]
pub fn run(script: &str) -> String {
    output_of(Command::new("sh"), script)
}

#[track_caller]
fn output_of(mut shell: Command, script: &str) -> String {
    let output = shell.args(["-e", "-c", script]).output().expect("a shell");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
