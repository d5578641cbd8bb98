//! The binary `mainstay`: server, agent and command line in one.

mod address;
mod agent_cmd;
mod assets;
mod cli;
#[cfg(test)]
mod coverage;
mod ctl;
mod data;
mod demo;
mod edge;
mod out;
mod settings;
mod slices;
mod snapshot;
mod stall;
mod up;
mod vitals;
mod wire;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // The one place that chooses the cryptography; every TLS user in the process takes it from here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = cli::Cli::parse();
    match cli::run(arguments) {
        Ok(code) => code,
        Err(error) => {
            out::complain(format_args!("mainstay: {error:#}"));
            ExitCode::from(cli::exit_code(&error))
        }
    }
}
