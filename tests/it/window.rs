//! Does the real window open, draw and close? Under Xvfb with the software driver, as on a server.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// An X server without a screen, ended when dropped.
struct VirtualDisplay {
    server: Child,
    name: String,
}

impl VirtualDisplay {
    fn start() -> Self {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is missing: run `sh assets/setup.sh`");
        let mut number = String::new();
        let out = server.stdout.take().expect("Xvfb's output was asked for");
        BufReader::new(out).read_line(&mut number).expect("Xvfb tells its display");
        Self { server, name: format!(":{}", number.trim()) }
    }
}

impl Drop for VirtualDisplay {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn adloupe() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_adloupe"));
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").env_remove("WAYLAND_SOCKET");
    command
}

fn ended_within(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("the program can be waited for") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().expect("the program can be ended");
    None
}

#[test]
fn the_window_draws_and_closes_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("window.png");
    let display = VirtualDisplay::start();
    let mut child = adloupe()
        .env("DISPLAY", &display.name)
        .env("HOME", folder.path())
        .env("XDG_DATA_HOME", folder.path())
        .arg("--screenshot")
        .arg(&picture)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = ended_within(&mut child, Duration::from_secs(90)).expect("it closes within 90 s");
    assert!(status.success(), "{status}");
    let drawn = image::open(&picture).expect("it saved a picture").to_rgb8();
    let mut colours: Vec<_> = drawn.pixels().map(|pixel| pixel.0).collect();
    colours.sort_unstable();
    colours.dedup();
    // Text alone has dozens of shades; a blank or torn window has a handful.
    assert!(colours.len() > 40, "only {} colours", colours.len());
}

#[test]
fn without_a_display_it_names_the_two_ways_on() {
    let output = adloupe().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("xvfb-run") && told.contains("adloupe tour"), "{told}");
}
