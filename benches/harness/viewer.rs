//! The cost of `/loop`: the same load on the same server, while somebody watches and while nobody does.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};

use super::crowd::{Attendance, Crowd};
use super::load::Load;
use super::options::Options;
use super::phase::Pace;
use super::progress;
use super::sample::Sample;
use super::scenario::Fanout;
use super::target::Target;

/// Runs are longer than others by this factor: figures are sent twice a second, so that a shorter run may have
/// none or one.
const PATIENCE: f64 = 20.0;

/// Samples of both states.
pub struct Outcome {
    pub watched: Vec<Sample>,
    pub unwatched: Vec<Sample>,
}

/// Measures a busy server with a viewer and without, in turn.
///
/// # Errors
/// If the server does not answer, or refuses.
pub fn measure(options: &Options, target: &Target, fanout: &Fanout) -> io::Result<Outcome> {
    progress::show(fanout.name, "members enter");
    let crowd = Crowd::gather(fanout.shape, target.local_ip()?, options.gro)?;
    let attendance = Attendance::enter(&crowd, target)?;
    thread::sleep(options.settling);
    let (mut load, pace) = (Load::new(crowd)?, Pace::Rate(fanout.rate));
    load.measure(target, &attendance, pace, options.seconds)?;
    let mut outcome = Outcome { watched: Vec::new(), unwatched: Vec::new() };
    for run in 1..=options.runs {
        progress::show(fanout.name, &format!("run {run} of {}", options.runs));
        let mut sample = || load.measure(target, &attendance, pace, options.seconds * PATIENCE);
        outcome.unwatched.push(sample()?);
        let viewer = Viewer::open(target.tcp)?;
        outcome.watched.push(sample()?);
        viewer.close()?;
    }
    attendance.leave(&load.crowd);
    Ok(outcome)
}

/// A viewer that reads its events.
struct Viewer {
    stream: TcpStream,
    reader: JoinHandle<io::Result<()>>,
}

impl Viewer {
    fn open(server: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect(server)?;
        write!(stream, "GET /events HTTP/1.1\r\nHost: {server}\r\n\r\n")?;
        let mut status = [0; b"HTTP/1.1 200".len()];
        stream.read_exact(&mut status)?;
        if status != *b"HTTP/1.1 200" {
            return Err(io::Error::other("the server shows no figures"));
        }
        let mut events = stream.try_clone()?;
        let reader = thread::spawn(move || io::copy(&mut events, &mut io::sink()).map(drop));
        Ok(Self { stream, reader })
    }

    /// Ends the connection. From then on nobody watches.
    fn close(self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Both)?;
        self.reader.join().expect("the reader does not panic")
    }
}
