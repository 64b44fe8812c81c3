//! How each fault is inflicted, and what may be said then.

use super::*;

impl Round<'_> {
    /// Returns whether it could be tried: some faults need a run that has begun and not ended.
    pub(super) fn inflict(&mut self, fault: Fault) -> bool {
        let at_any_time = [
            Fault::Kill,
            Fault::Freeze,
            Fault::SwapWhileStopped,
            Fault::FullDisk,
            Fault::DamagedCheckpoint,
        ];
        if !at_any_time.contains(&fault) && !self.is_held() {
            return false;
        }
        match fault {
            Fault::GoodSave => {
                let text = good(&mut self.random, self.faulty);
                self.save(text.as_bytes());
            }
            Fault::BadSave => {
                let bytes = bad(&mut self.random);
                self.save(&bytes);
            }
            Fault::HalfSave => self.half_save(),
            Fault::ManySaves => {
                for _ in 0..self.random.random_range(2..8) {
                    let bytes = if self.random.random_bool(0.3) {
                        bad(&mut self.random)
                    } else {
                        good(&mut self.random, self.faulty).into_bytes()
                    };
                    self.save(&bytes);
                    self.nap(60);
                }
            }
            Fault::Swap => self.swap(false),
            Fault::SwapAtStep => self.swap(true),
            Fault::BadSwap => self.bad_swap(),
            Fault::SwapAndKill => self.swap_and_kill(),
            Fault::SwapWhileStopped => self.swap_while_stopped(),
            Fault::Kill => {
                self.kill();
                self.start(&[]);
            }
            Fault::Freeze => {
                if let Some(child) = &self.child {
                    let process = Pid::from_child(child);
                    kill_process(process, Signal::STOP).unwrap();
                    self.nap(400);
                    kill_process(process, Signal::CONT).unwrap();
                }
            }
            Fault::PauseAndContinue => self.pause(),
            Fault::Stop => {
                self.ask(&["stop"]);
                self.excuses.push("stopped");
            }
            Fault::TwoProcesses => self.second(),
            Fault::FullDisk => self.fill_the_disk(),
            Fault::ReadOnlyFolder => {
                let mount = Mount::read_only(&self.run);
                self.nap(900);
                drop(mount);
                self.excuses.push("Read-only file system");
            }
            Fault::DamagedCheckpoint => return self.damage(),
            Fault::JumpingClock => {}
        }
        true
    }

    /// Sleeps for up to so many milliseconds.
    fn nap(&mut self, most: u64) {
        let moment = self.random.random_range(0..most);
        std::thread::sleep(Duration::from_millis(moment));
    }

    /// Saves the file of the schedule, in place or by renaming.
    pub(super) fn save(&mut self, bytes: &[u8]) {
        if self.random.random_bool(0.5) {
            fs::write(&self.plugin, bytes).unwrap();
        } else {
            let beside = self.plugin.with_extension("wat~");
            fs::write(&beside, bytes).unwrap();
            fs::rename(&beside, &self.plugin).unwrap();
        }
    }

    /// Writes one half of a good plugin, and the other only after a while, or never.
    fn half_save(&mut self) {
        let text = good(&mut self.random, self.faulty);
        let (one, other) = text.split_at(self.random.random_range(1..text.len()));
        let mut file = File::create(&self.plugin).unwrap();
        file.write_all(one.as_bytes()).unwrap();
        self.nap(500);
        if self.random.random_bool(0.7) {
            file.write_all(other.as_bytes()).unwrap();
        }
    }

    /// A command about the run, run to its end.
    pub(super) fn ask(&mut self, arguments: &[&str]) -> (bool, String) {
        let mut command = self.pixelrate();
        command
            .arg(arguments[0])
            .arg(&self.run)
            .args(&arguments[1..]);
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        let text = String::from_utf8([stdout, stderr].concat()).unwrap();
        self.told
            .push(format!("  {arguments:?}: {status}: {}", text.trim_end()));
        (status.success(), text)
    }

    /// What to give to `swap`: a good schedule.
    fn wish(&mut self) -> Vec<String> {
        let mut wish = vec!["swap".to_owned(), "--schedule".to_owned()];
        match self.random.random_range(0..3) {
            0 => {
                let rate = self.random.random_range(1..40);
                wish.extend(["fixed", "--param"].map(str::to_owned));
                wish.push(format!("learning_rate=0.00{rate:02}"));
            }
            1 => wish.push("edited.wat".to_owned()),
            _ => {
                let text = good(&mut self.random, self.faulty);
                fs::write(self.base.join("other.wat"), text).unwrap();
                wish.push("other.wat".to_owned());
            }
        }
        // An edited file may be any by now.
        if wish.contains(&"edited.wat".to_owned()) {
            let text = good(&mut self.random, self.faulty);
            self.save(text.as_bytes());
        }
        if self.random.random_bool(0.3) {
            wish.push("--fresh".to_owned());
        }
        wish
    }

    fn at_step(&mut self, wish: &mut Vec<String>) {
        let done = Status::read(&self.run)
            .unwrap()
            .map_or(0, |status| status.step);
        let step = done + self.random.random_range(0..500);
        wish.extend(["--at-step".to_owned(), step.to_string()]);
    }

    fn swap(&mut self, at_step: bool) {
        let mut wish = self.wish();
        if at_step {
            self.at_step(&mut wish);
        }
        let wish: Vec<&str> = wish.iter().map(String::as_str).collect();
        let (good, text) = self.ask(&wish);
        // It may have ended by itself, a step may be over, and a state need not fit.
        let excuses = [
            "is over",
            "there is no",
            "was over",
            "does not take the state",
            "ended",
        ];
        assert!(
            good || self.is_ending() || excuses.iter().any(|excuse| text.contains(excuse)),
            "{wish:?}: {text}"
        );
    }

    fn bad_swap(&mut self) {
        let bytes = bad(&mut self.random);
        fs::write(self.base.join("bad.wat"), bytes).unwrap();
        let before = Takeovers::read(&self.run).unwrap().len();
        let (good, text) = self.ask(&["swap", "--schedule", "bad.wat"]);
        // Of a run that ended while it was asked the offer is kept, and refused when it is taken up.
        let kept = text.contains("pixelrate resume") && self.is_ending();
        assert!(
            !good && text.contains("error") || kept,
            "a bad schedule was taken: {text}"
        );
        assert!(Takeovers::read(&self.run).unwrap().len() >= before);
    }

    /// A swap is asked for, and the run killed while it is dealt with.
    fn swap_and_kill(&mut self) {
        let mut wish = self.wish();
        if self.random.random_bool(0.5) {
            self.at_step(&mut wish);
        }
        let mut command = self.pixelrate();
        command.arg(&wish[0]).arg(&self.run).args(&wish[1..]);
        let mut asking = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.nap(150);
        self.kill();
        // It ends by itself: the run is gone, and what it asked for is kept.
        wait(&mut asking);
        self.start(&[]);
    }

    fn swap_while_stopped(&mut self) {
        self.kill();
        if self.run.join("run.toml").exists() && read_summary(&self.run).unwrap().is_none() {
            let mut wish = self.wish();
            if self.random.random_bool(0.5) {
                self.at_step(&mut wish);
            }
            let wish: Vec<&str> = wish.iter().map(String::as_str).collect();
            let (good, text) = self.ask(&wish);
            // What was told of a killed run's progress may be older than its rows.
            let excuses = ["is over", "there is no"];
            assert!(
                good || excuses.iter().any(|excuse| text.contains(excuse)),
                "{wish:?}: {text}"
            );
        }
        self.start(&[]);
    }

    fn pause(&mut self) {
        let (waits, text) = self.ask(&["pause"]);
        if !waits {
            assert!(self.is_ending() || text.contains("ended"), "{text}");
            return;
        }
        if !self.is_alive() {
            return;
        }
        let before = self.check_rows();
        self.nap(300);
        assert_eq!(
            self.check_rows(),
            before,
            "it goes on though it was told to wait"
        );
        if self.random.random_bool(0.3) {
            self.kill();
            self.start(&[]);
        } else {
            let (goes_on, text) = self.ask(&["resume"]);
            assert!(goes_on, "{text}");
        }
    }

    /// A second process wants the run.
    fn second(&mut self) {
        let (_, text) = self.ask(&["resume"]);
        // A run that was killed while it waited still says so for an instant.
        let told =
            text.contains("another process is writing this run") || text.contains("continued");
        assert!(told || self.is_ending(), "a second process: {text}");
    }

    fn fill_the_disk(&mut self) {
        if self.disk.is_none() {
            // Blocks of 512 bytes (POSIX): no checkpoint is as small.
            self.kill();
            self.start(&["sh", "-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""]);
            self.excuses.push("File too large");
            self.nap(1500);
            self.kill();
            self.start(&[]);
            return;
        }
        let ballast = self.base.join("disk/ballast");
        let mut file = File::create(&ballast).unwrap();
        let block = vec![0; 1 << 16];
        while file.write_all(&block).is_ok() {}
        while file.write_all(&[0; 64]).is_ok() {}
        self.nap(1500);
        drop(file);
        fs::remove_file(&ballast).unwrap();
        self.excuses.push("No space left on device");
    }

    /// The newest checkpoint is no longer what was written. False if there is none yet.
    fn damage(&mut self) -> bool {
        self.kill();
        let newest = checkpoint::list(&self.run).unwrap().pop();
        if let Some(path) = &newest {
            let mut bytes = fs::read(path).unwrap();
            let at = self.random.random_range(0..bytes.len());
            if self.random.random_bool(0.5) {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 1 << self.random.random_range(0..8);
            }
            fs::write(path, bytes).unwrap();
        }
        self.start(&[]);
        newest.is_some()
    }
}
