//! `adloupe serve SPEC.json`: how does the user's model bid, live? OpenRTB bid requests over HTTP, loopback only.
//!
//! `POST /bid` takes a bid request and answers with a bid response (200), no bid (204) or what is wrong with the
//! request (400); an answer that comes later than the request's `tmax` is no bid. `GET /stats` tells counts and
//! latencies. Only this machine can connect. Ctrl-C ends it.

use super::simulate::{inputs, read_spec};
use super::{Answer, Terminal};
use crate::base::{Failure, Result, failure::Explain};
use crate::market::bidding::RequestBidder;
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Answers OpenRTB bid requests on this machine with a model's bids.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The spec, a JSON file as `adloupe simulate` reads it.
    pub spec: PathBuf,
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8787)]
    pub port: u16,
}

/// Requests and headers larger than this are refused.
const LARGEST_BODY: usize = 1 << 20;
const LARGEST_HEAD: usize = 16 << 10;
/// Connections served at once.
const MOST_CONNECTIONS: usize = 64;
/// How often a waiting thread looks whether it should end.
const LOOK: Duration = Duration::from_millis(100);

/// Loads the model, listens, answers until Ctrl-C.
///
/// # Errors
/// A spec, log or model that does not fit; a port that is taken.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let spec = read_spec(&args.spec)?;
    let folder = args.spec.parent().unwrap_or(Path::new(""));
    let bidder = Arc::new(RequestBidder::new(&spec, inputs(&spec, folder, &terminal.context())?)?);
    for note in &bidder.notes {
        Terminal::note(&format!("note: {note}"));
    }
    let listener = listen(args.port)?;
    let address = listener.local_addr().explain("cannot listen")?;
    Terminal::note(&format!("bidding with {} ads on http://{address}/bid; Ctrl-C ends it", bidder.ads()));
    let stats = serve(&listener, &bidder, &terminal.cancel)?;
    let json = stats.as_json();
    Ok(Answer { text: format!("{json}"), json })
}

/// A listener that only this machine can reach.
///
/// # Errors
/// The port is taken.
pub fn listen(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
        Failure::new("cannot listen", error)
            .at(format!("port {port}"))
            .hint("another --port, or 0 for a free one")
    })
}

/// What was answered so far.
#[derive(Debug)]
pub struct Stats {
    bids: AtomicU64,
    no_bids: AtomicU64,
    late: AtomicU64,
    refused: AtomicU64,
    /// Answers by latency, in steps of 5 % from 10 microseconds on.
    latencies: Vec<AtomicU64>,
}

const FASTEST_US: f64 = 10.0;
const STEP: f64 = 1.05;
const CELLS: usize = 320;

impl Default for Stats {
    fn default() -> Self {
        let latencies = (0..CELLS).map(|_| AtomicU64::new(0)).collect();
        Self {
            bids: AtomicU64::default(),
            no_bids: AtomicU64::default(),
            late: AtomicU64::default(),
            refused: AtomicU64::default(),
            latencies,
        }
    }
}

impl Stats {
    fn took(&self, time: Duration) {
        let cell = ((time.as_secs_f64() * 1e6 / FASTEST_US).max(1.0).ln() / STEP.ln()) as usize;
        self.latencies[cell.min(CELLS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    /// The latency that this share of the answers kept, in milliseconds, to 5 %; `None` before the first.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let counts: Vec<u64> = self.latencies.iter().map(|cell| cell.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let wanted = (share * total as f64).ceil() as u64;
        let mut passed = 0;
        let cell = counts.iter().position(|count| {
            passed += count;
            passed >= wanted.max(1)
        })?;
        Some(FASTEST_US * STEP.powi(cell as i32 + 1) / 1e3)
    }

    /// Counts and latencies.
    pub fn as_json(&self) -> Value {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({
            "bids": count(&self.bids),
            "no_bids": count(&self.no_bids),
            "late": count(&self.late),
            "refused": count(&self.refused),
            "p50_ms": self.quantile_ms(0.5),
            "p99_ms": self.quantile_ms(0.99),
        })
    }
}

/// Answers connections until `cancel` is set, each on its own thread.
///
/// # Errors
/// A listener that fails, or no thread to be had.
pub fn serve(
    listener: &TcpListener,
    bidder: &Arc<RequestBidder>,
    cancel: &Arc<AtomicBool>,
) -> Result<Arc<Stats>> {
    let stats = Arc::new(Stats::default());
    let open = Arc::new(AtomicUsize::new(0));
    listener.set_nonblocking(true).explain("cannot listen")?;
    while !cancel.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) if open.load(Ordering::Acquire) < MOST_CONNECTIONS => {
                open.fetch_add(1, Ordering::AcqRel);
                let (bidder, stats, cancel, open) =
                    (Arc::clone(bidder), Arc::clone(&stats), Arc::clone(cancel), Arc::clone(&open));
                let served = move || {
                    // A connection that breaks off is its client's affair.
                    let _ = Connection { stream, bidder, stats, cancel, read: Vec::new() }.serve();
                    open.fetch_sub(1, Ordering::AcqRel);
                };
                thread::Builder::new()
                    .name("adloupe-serve".to_owned())
                    .spawn(served)
                    .explain("cannot serve another connection")?;
            }
            // One too many: it is closed at once.
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(2)),
            Err(error) => return Err(Failure::new("cannot accept connections", error)),
        }
    }
    Ok(stats)
}

struct Connection {
    stream: TcpStream,
    bidder: Arc<RequestBidder>,
    stats: Arc<Stats>,
    cancel: Arc<AtomicBool>,
    /// Bytes that were read and not yet used.
    read: Vec<u8>,
}

/// The first line and what matters of the headers.
struct Head {
    method: String,
    path: String,
    length: usize,
    keeps: bool,
    /// Bytes of the head itself.
    size: usize,
}

impl Connection {
    /// Requests one after the other, as HTTP/1.1 keeps connections open.
    fn serve(&mut self) -> std::io::Result<()> {
        // Some systems hand the listener's mode on.
        self.stream.set_nonblocking(false)?;
        self.stream.set_nodelay(true)?;
        self.stream.set_read_timeout(Some(LOOK))?;
        while !self.cancel.load(Ordering::Relaxed) {
            let head = match self.head()? {
                Ok(Some(head)) => head,
                Ok(None) => return Ok(()),
                Err(why) => return self.refuse(&why, false),
            };
            if head.length > LARGEST_BODY {
                return self.refuse("the request is larger than 1 MiB", false);
            }
            while self.read.len() < head.size + head.length {
                if !self.more()? {
                    return Ok(());
                }
            }
            let begun = Instant::now();
            let body: Vec<u8> = self.read.drain(..head.size + head.length).skip(head.size).collect();
            self.respond(&head, &body, begun)?;
            if !head.keeps {
                return Ok(());
            }
        }
        Ok(())
    }

    fn respond(&mut self, head: &Head, body: &[u8], begun: Instant) -> std::io::Result<()> {
        match (head.method.as_str(), head.path.as_str()) {
            ("GET", "/stats") => {
                let json = self.stats.as_json().to_string();
                self.write("200 OK", &json, head.keeps)
            }
            ("POST", "/bid") => {
                let answered = serde_json::from_slice(body)
                    .explain("cannot read the bid request")
                    .and_then(|request| self.bidder.answer(&request));
                let answer = match answered {
                    Ok(answer) => answer,
                    Err(failure) => return self.refuse(&failure.to_string(), head.keeps),
                };
                let late = begun.elapsed().as_secs_f64() * 1e3 > answer.tmax_ms;
                self.stats.late.fetch_add(u64::from(late), Ordering::Relaxed);
                let written = match answer.response.filter(|_| !late) {
                    Some(response) => {
                        self.stats.bids.fetch_add(1, Ordering::Relaxed);
                        self.write("200 OK", &response.to_string(), head.keeps)
                    }
                    None => {
                        self.stats.no_bids.fetch_add(1, Ordering::Relaxed);
                        self.write("204 No Content", "", head.keeps)
                    }
                };
                self.stats.took(begun.elapsed());
                written
            }
            _ => self.write("404 Not Found", r#"{"error":"POST /bid or GET /stats"}"#, head.keeps),
        }
    }

    fn refuse(&mut self, why: &str, keeps: bool) -> std::io::Result<()> {
        self.stats.refused.fetch_add(1, Ordering::Relaxed);
        self.write("400 Bad Request", &json!({"error": why}).to_string(), keeps)
    }

    fn write(&mut self, status: &str, body: &str, keeps: bool) -> std::io::Result<()> {
        let connection = if keeps { "keep-alive" } else { "close" };
        let text = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nx-openrtb-version: 2.6\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(text.as_bytes())
    }

    /// The next request's head; `None` when the client is gone or the server ends.
    fn head(&mut self) -> std::io::Result<std::result::Result<Option<Head>, String>> {
        loop {
            if let Some(end) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                return Ok(parse_head(&self.read[..end], end + 4).map(Some));
            }
            if self.read.len() > LARGEST_HEAD {
                return Ok(Err("the header is larger than 16 KiB".to_owned()));
            }
            if !self.more()? {
                return Ok(Ok(None));
            }
        }
    }

    /// Reads on; false when the client is gone or the server ends.
    fn more(&mut self) -> std::io::Result<bool> {
        let mut some = [0; 8_192];
        loop {
            match self.stream.read(&mut some) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.read.extend_from_slice(&some[..n]);
                    return Ok(true);
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if self.cancel.load(Ordering::Relaxed) {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn parse_head(bytes: &[u8], size: usize) -> std::result::Result<Head, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the header is no text".to_owned())?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(path), Some(version)) = (first.next(), first.next(), first.next()) else {
        return Err("this is no HTTP request".to_owned());
    };
    let mut head = Head {
        method: method.to_owned(),
        path: path.to_owned(),
        length: 0,
        keeps: version == "HTTP/1.1",
        size,
    };
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "content-length" => {
                head.length = value.parse().map_err(|_| format!("'{value}' is no content length"))?;
            }
            "transfer-encoding" => return Err("send a Content-Length, not chunks".to_owned()),
            "connection" => head.keeps = !value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    Ok(head)
}
