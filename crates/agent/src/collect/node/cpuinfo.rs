//! What the CPUs are: model, frequency, scaling limits, known weaknesses.

use crate::collect::{
    CollectError, Collector, Every, KeptFile, Roots, Sink, read_dir_names, read_number, read_text,
};

/// `node_cpu_info`, `node_cpu_frequency_hertz` and, for chosen names, flags and bugs.
pub(crate) struct CpuInfo {
    file: KeptFile,
    flags: fn(&str) -> bool,
    bugs: fn(&str) -> bool,
}

impl CpuInfo {
    pub(crate) fn new(roots: &Roots, flags: fn(&str) -> bool, bugs: fn(&str) -> bool) -> Self {
        Self {
            file: KeptFile::new(roots.proc("cpuinfo")),
            flags,
            bugs,
        }
    }
}

#[derive(Default)]
struct Processor<'a> {
    cpu: &'a str,
    package: &'a str,
    core: &'a str,
    vendor: &'a str,
    family: &'a str,
    model: &'a str,
    model_name: &'a str,
    microcode: &'a str,
    stepping: &'a str,
    cache_size: &'a str,
    megahertz: Option<f64>,
}

impl Processor<'_> {
    fn put(&self, out: &mut Sink) {
        if self.cpu.is_empty() {
            return;
        }
        let place = [("cpu", self.cpu), ("package", self.package), ("core", self.core)];
        let mut labels = place.to_vec();
        labels.extend([
            ("vendor", self.vendor),
            ("family", self.family),
            ("model", self.model),
            ("model_name", self.model_name),
            ("microcode", self.microcode),
            ("stepping", self.stepping),
            ("cachesize", self.cache_size),
        ]);
        out.put("node_cpu_info", &labels, 1.0);
        if let Some(megahertz) = self.megahertz {
            out.put("node_cpu_frequency_hertz", &place, megahertz * 1e6);
        }
    }
}

impl Collector for CpuInfo {
    fn name(&self) -> &'static str {
        "cpuinfo"
    }

    fn every(&self) -> Every {
        Every::Millis(60_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let text = self.file.read()?;
        let mut processor = Processor::default();
        for (number, line) in text.lines().enumerate() {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            match key.trim() {
                "processor" => {
                    processor.put(out);
                    processor = Processor {
                        cpu: value,
                        ..Processor::default()
                    };
                }
                "vendor_id" => processor.vendor = value,
                "cpu family" => processor.family = value,
                "model" => processor.model = value,
                "model name" => processor.model_name = value,
                "microcode" => processor.microcode = value,
                "stepping" => processor.stepping = value,
                "cache size" => processor.cache_size = value,
                "physical id" => processor.package = value,
                "core id" => processor.core = value,
                "cpu MHz" => processor.megahertz = value.parse().ok(),
                // All processors have the same; those of the first are enough.
                "flags" if number < 40 => put_words(out, "node_cpu_flag_info", "flag", value, self.flags),
                "bugs" if number < 40 => put_words(out, "node_cpu_bug_info", "bug", value, self.bugs),
                _ => {}
            }
        }
        processor.put(out);
        Ok(())
    }
}

fn put_words(out: &mut Sink, metric: &str, label: &str, words: &str, wanted: fn(&str) -> bool) {
    for word in words.split_ascii_whitespace().filter(|word| wanted(word)) {
        out.put(metric, &[(label, word)], 1.0);
    }
}

/// `node_cpu_scaling_*`.
pub(crate) struct CpuFrequency(Roots);

impl CpuFrequency {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

impl Collector for CpuFrequency {
    fn name(&self) -> &'static str {
        "cpufreq"
    }

    fn every(&self) -> Every {
        Every::Millis(15_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("devices/system/cpu");
        let mut found = false;
        for name in read_dir_names(&folder) {
            let Some(cpu) = name.strip_prefix("cpu").filter(|n| n.parse::<u32>().is_ok()) else {
                continue;
            };
            let path = folder.join(&name).join("cpufreq");
            for (file, metric) in [
                ("cpuinfo_cur_freq", "node_cpu_frequency_hertz"),
                ("cpuinfo_min_freq", "node_cpu_frequency_min_hertz"),
                ("cpuinfo_max_freq", "node_cpu_frequency_max_hertz"),
                ("scaling_cur_freq", "node_cpu_scaling_frequency_hertz"),
                ("scaling_min_freq", "node_cpu_scaling_frequency_min_hertz"),
                ("scaling_max_freq", "node_cpu_scaling_frequency_max_hertz"),
            ] {
                if let Some(kilohertz) = read_number(&path.join(file)) {
                    out.put(metric, &[("cpu", cpu)], kilohertz * 1000.0);
                    found = true;
                }
            }
            let governor = read_text(&path.join("scaling_governor")).unwrap_or_default();
            let available = read_text(&path.join("scaling_available_governors")).unwrap_or_default();
            for name in available.split_ascii_whitespace() {
                let value = f64::from(u8::from(name == governor));
                out.put(
                    "node_cpu_scaling_governor",
                    &[("cpu", cpu), ("governor", name)],
                    value,
                );
            }
        }
        if found { Ok(()) } else { Err(CollectError::Absent) }
    }
}

/// `node_cpu_vulnerabilities_info`.
pub(crate) struct CpuVulnerabilities(Roots);

impl CpuVulnerabilities {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

impl Collector for CpuVulnerabilities {
    fn name(&self) -> &'static str {
        "cpu_vulnerabilities"
    }

    fn every(&self) -> Every {
        Every::Millis(600_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("devices/system/cpu/vulnerabilities");
        let names = read_dir_names(&folder);
        for name in &names {
            let text = read_text(&folder.join(name)).unwrap_or_default();
            let (state, mitigation) = text.split_once(':').unwrap_or((&text, ""));
            let state = state.trim().to_lowercase();
            // Only a mitigation says which one; what follows other states is free text.
            let mitigation = if state == "mitigation" {
                mitigation.trim()
            } else {
                ""
            };
            let labels = [
                ("codename", name.as_str()),
                ("state", state.as_str()),
                ("mitigation", mitigation),
            ];
            out.put("node_cpu_vulnerabilities_info", &labels, 1.0);
        }
        if names.is_empty() {
            Err(CollectError::Absent)
        } else {
            Ok(())
        }
    }
}
