//! Compiling in a child process, which is all that foreign bytes are given to take apart.
//!
//! Invariant: the child has limits of its own, nothing of the server in its memory, and no way to it but three pipes.
//! Whatever it does, it costs one failed installation. What it hands back is machine code, and is trusted as what this
//! process would have made itself: a fault of the compiler that a plugin can reach is the one thing that this does not
//! hold back.

use std::io::{Read, Write};
use std::time::Duration;

use fumehood_egress::{Egress, Output, ProcessSpec};
use serde::{Deserialize, Serialize};

use crate::error::{LoadError, shown};
use crate::load::{PluginSource, World};
use crate::{CompiledCache, Runtime, RuntimeConfig, limits};

/// What the child is told before the component.
#[derive(Serialize, Deserialize)]
struct Order {
    name: String,
    version: String,
    world: World,
    rules: String,
    component_bytes: usize,
}

/// Children at once.
static COMPILING: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(2);

/// First byte of an answer that is machine code.
const MADE: u8 = 0;
/// First byte of an answer that is a sentence.
const REFUSED: u8 = 1;

/// How long the compilation of a component may take: what is large may take longer, and a scanner prepares its rules
/// within it, which has a limit and a sentence of its own.
fn time_for(world: World, component: &[u8]) -> Duration {
    let size = limits::COMPILE_PER_MIB * u32::try_from(component.len() >> 20).unwrap_or(u32::MAX);
    let prepare = if world == World::Scanner { limits::CPU_PREPARE } else { Duration::ZERO };
    limits::COMPILE_BASE + size + prepare
}

/// Have `child` compile a component.
///
/// # Errors
/// [`LoadError::Refused`] with the child's sentence, [`LoadError::CompileStopped`] where it went over its limits.
pub(crate) async fn in_child(
    egress: &Egress,
    child: &ProcessSpec,
    source: &PluginSource<'_>,
) -> Result<Vec<u8>, LoadError> {
    let stopped = |reason: String| LoadError::CompileStopped { plugin: shown(source.name), reason };
    let order = Order {
        name: source.name.into(),
        version: source.version.into(),
        world: source.world,
        rules: source.rules.into(),
        component_bytes: source.component.len(),
    };
    let mut input = serde_json::to_vec(&order).map_err(|error| stopped(error.to_string()))?;
    input.push(b'\n');
    input.extend_from_slice(source.component);
    // Few at once, and the clock runs from here on: a start with many plugins must not fail for their number.
    let _turn = COMPILING.acquire().await.map_err(|error| stopped(error.to_string()))?;
    let mut process = egress.spawn(child.clone()).map_err(|error| stopped(error.to_string()))?;
    let time = time_for(source.world, source.component);
    let work = async {
        let written = process.write(&input).await;
        process.close_input();
        let mut answer = Vec::new();
        loop {
            match process.read().await {
                Output::Stdout(bytes) if answer.len() + bytes.len() > limits::COMPILED_BYTES => {
                    return Err(stopped(format!("it comes to more than {} MiB", limits::COMPILED_BYTES >> 20)));
                }
                Output::Stdout(bytes) => answer.extend_from_slice(&bytes),
                Output::Exit { code: Some(0) } => break,
                Output::Exit { code: Some(code) } => {
                    let said = process.stderr_tail();
                    return Err(stopped(format!("the compiler ended with code {code}. {}", shown(&said))));
                }
                Output::Exit { code: None } => {
                    return Err(stopped(format!(
                        "it took more than {} MiB of memory or {} s of computing",
                        limits::COMPILE_MEMORY_BYTES >> 20,
                        time.as_secs()
                    )));
                }
            }
        }
        written.map_err(|error| stopped(error.to_string()))?;
        Ok(answer)
    };
    let answer = tokio::time::timeout(time, work).await;
    let mut answer = answer.map_err(|_| stopped(format!("it was not done within {} s", time.as_secs())))??;
    match answer.first() {
        Some(&MADE) => {
            answer.remove(0);
            Ok(answer)
        }
        Some(&REFUSED) => Err(LoadError::Refused(shown(&String::from_utf8_lossy(answer.get(1..).unwrap_or_default())))),
        _ => Err(stopped("the compiler said nothing".into())),
    }
}

/// The child: reads an order and a component from `input`, writes machine code or a sentence to `output`. Lowers the
/// limits of this process first, for good.
///
/// # Errors
/// What cannot be read or written, or an order that is none.
pub fn child(mut input: impl Read, mut output: impl Write) -> std::io::Result<()> {
    use std::io::{Error, ErrorKind};
    let mut order = Vec::new();
    // Byte by byte up to the line's end: what follows is the component.
    let mut byte = [0];
    while input.read(&mut byte)? == 1 && byte != *b"\n" {
        order.extend_from_slice(&byte);
        if order.len() > limits::COMPILE_ORDER_BYTES {
            return Err(Error::new(ErrorKind::InvalidData, "the order is too long"));
        }
    }
    let order: Order = serde_json::from_slice(&order)?;
    let mut component = Vec::new();
    input.take(limits::COMPONENT_BYTES as u64 + 1).read_to_end(&mut component)?;
    if component.len() != order.component_bytes {
        return Err(Error::new(ErrorKind::UnexpectedEof, "the component did not arrive whole"));
    }
    lower_limits(time_for(order.world, &component))?;
    let made = compile(&order, &component);
    match made {
        Ok(artefact) => {
            output.write_all(&[MADE])?;
            output.write_all(&artefact)?;
        }
        Err(error) => {
            output.write_all(&[REFUSED])?;
            output.write_all(error.to_string().as_bytes())?;
        }
    }
    output.flush()
}

fn compile(order: &Order, component: &[u8]) -> Result<Vec<u8>, LoadError> {
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let executor = executor.map_err(|error| LoadError::Engine(error.to_string()))?;
    let config = RuntimeConfig {
        cache: CompiledCache::none(),
        instances: 1,
        egress: None,
        compiler: None,
        deterministic: false,
    };
    let runtime = Runtime::new(config)?;
    let source =
        PluginSource { name: &order.name, version: &order.version, world: order.world, component, rules: &order.rules };
    executor.block_on(runtime.make(&source))
}

fn lower_limits(time: Duration) -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limits = [
        (Resource::Cpu, time.as_secs().saturating_mul(2)),
        // Private memory that can be written. Address space is no measure: an instance reserves much and uses little.
        (Resource::Data, limits::COMPILE_MEMORY_BYTES),
        (Resource::Core, 0),
        // The memory images of modules are files without a name.
        (Resource::Fsize, limits::COMPILED_BYTES as u64),
        (Resource::Nofile, 64),
    ];
    for (resource, most) in limits {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

impl World {
    /// Every world.
    pub const ALL: [Self; 4] = [Self::Scanner, Self::Provider, Self::Integration, Self::Transport];
}
