//! Bindings to the contract in `wit/`, generated at build time. Shared interfaces are generated once (`host`) and
//! mapped into each world, so that a failure is one Rust type everywhere.

/// What the host offers.
pub mod host {
    wasmtime::component::bindgen!({
        inline: "
            package fumehood:runtime@0.1.0;
            world host {
                import fumehood:log/log@0.1.0;
                import fumehood:http/http@0.1.0;
                import fumehood:kv/kv@0.1.0;
                import fumehood:config/config@0.1.0;
            }
        ",
        path: [
            "../../wit/types-0.1.0",
            "../../wit/log-0.1.0",
            "../../wit/http-0.1.0",
            "../../wit/kv-0.1.0",
            "../../wit/config-0.1.0",
        ],
        imports: { default: async | trappable },
        with: { "fumehood:http/http.response": crate::host::IncomingResponse },
    });
}

/// World `scanner`.
pub mod scanner {
    wasmtime::component::bindgen!({
        world: "fumehood:scanner/scanner",
        path: ["../../wit/types-0.1.0", "../../wit/log-0.1.0", "../../wit/scanner-0.1.0"],
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "fumehood:types/types": super::host::fumehood::types::types,
            "fumehood:log/log": super::host::fumehood::log::log,
        },
    });
}

/// World `provider`.
pub mod provider {
    wasmtime::component::bindgen!({
        world: "fumehood:provider/provider",
        path: [
            "../../wit/types-0.1.0",
            "../../wit/log-0.1.0",
            "../../wit/http-0.1.0",
            "../../wit/config-0.1.0",
            "../../wit/provider-0.1.0",
        ],
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "fumehood:types/types": super::host::fumehood::types::types,
            "fumehood:log/log": super::host::fumehood::log::log,
            "fumehood:http/http": super::host::fumehood::http::http,
            "fumehood:config/config": super::host::fumehood::config::config,
        },
    });
}

/// World `integration`.
pub mod integration {
    wasmtime::component::bindgen!({
        world: "fumehood:integration/integration",
        path: [
            "../../wit/types-0.1.0",
            "../../wit/log-0.1.0",
            "../../wit/http-0.1.0",
            "../../wit/kv-0.1.0",
            "../../wit/config-0.1.0",
            "../../wit/integration-0.1.0",
        ],
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "fumehood:types/types": super::host::fumehood::types::types,
            "fumehood:log/log": super::host::fumehood::log::log,
            "fumehood:http/http": super::host::fumehood::http::http,
            "fumehood:kv/kv": super::host::fumehood::kv::kv,
            "fumehood:config/config": super::host::fumehood::config::config,
        },
    });
}

/// World `transport`.
pub mod transport {
    wasmtime::component::bindgen!({
        world: "fumehood:transport/transport",
        path: [
            "../../wit/types-0.1.0",
            "../../wit/log-0.1.0",
            "../../wit/config-0.1.0",
            "../../wit/transport-0.1.0",
        ],
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "fumehood:types/types": super::host::fumehood::types::types,
            "fumehood:log/log": super::host::fumehood::log::log,
            "fumehood:config/config": super::host::fumehood::config::config,
        },
    });
}
