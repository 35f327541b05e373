//! Starts the broker and the engine on a data folder, prints where they are, and stops them at the end of standard input.
//!
//! ```text
//! cargo run --release -p driftmill-embedded --example embedded -- DATA_DIR [BROKER_PORT [CLICKHOUSE_PORT]]
//! ```

use std::error::Error;
use std::path::PathBuf;

use driftmill_embedded::engine::{EngineChildArgs, run_engine_child};
use driftmill_embedded::{DataDir, EmbeddedEngine, EngineOptions};
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

const CHILD_ROLE: &str = "engine-child";

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1).peekable();
    // Before anything else: the engine wants a process without threads.
    if args.next_if(|role| role == CHILD_ROLE).is_some() {
        match run_engine_child(EngineChildArgs::parse(args)?)? {}
    }
    let data_dir = PathBuf::from(args.next().ok_or("usage: embedded DATA_DIR [BROKER_PORT [CLICKHOUSE_PORT]]")?);
    let mut port = || args.next().map(|port| port.to_string_lossy().parse::<u16>()).transpose();
    let (broker_port, clickhouse_port) = (port()?, port()?);
    let runtime = tokio::runtime::Runtime::new()?;
    if let Err(error) = runtime.block_on(run(data_dir, broker_port, clickhouse_port)) {
        eprintln!("{error}");
        std::process::exit(1);
    }
    // A read of standard input that is still waiting would hold up the runtime's own end.
    runtime.shutdown_background();
    Ok(())
}

async fn run(data_dir: PathBuf, broker_port: Option<u16>, clickhouse_port: Option<u16>) -> Result<(), Box<dyn Error>> {
    let data_dir = DataDir::acquire(&data_dir)?;
    let cancel = CancellationToken::new();

    #[cfg(feature = "broker")]
    let broker = {
        use driftmill_embedded::{BrokerOptions, BrokerStorage, EmbeddedBroker};
        let options = BrokerOptions {
            data_dir: data_dir.path().to_owned(),
            port: broker_port,
            storage: BrokerStorage::default(),
        };
        let broker = EmbeddedBroker::start(options, cancel.clone()).await?;
        println!("broker {}", broker.bootstrap());
        broker
    };
    #[cfg(not(feature = "broker"))]
    let _ = broker_port;

    let options = EngineOptions {
        data_dir: data_dir.path().to_owned(),
        port: clickhouse_port,
        child_command: vec![std::env::current_exe()?.into(), CHILD_ROLE.into()],
    };
    let engine = EmbeddedEngine::start(options, cancel).await?;
    println!("clickhouse {} pid {}", engine.url(), engine.pid());

    let mut ignored = Vec::new();
    let mut stdin = tokio::io::stdin();
    tokio::select! {
        ended = stdin.read_to_end(&mut ignored) => { ended?; }
        reason = engine.died() => eprintln!("{reason}"),
    }
    engine.stop().await;
    #[cfg(feature = "broker")]
    broker.stop().await?;
    println!("stopped");
    Ok(())
}
