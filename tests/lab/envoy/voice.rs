//! What a sidecar lets others know of itself: its access log's format, and where its admin interface is; it must not know what it
//! connects to.

use serde_json::{Value, json};

use super::Files;

/// Port of Istio's admin interface (`DefaultProxyAdminPort` in `pkg/config/constants`).
pub(super) const ADMIN_PORT: u16 = 15000;

/// Istio's default text format from 1.3 to 1.7: `pilot/pkg/networking/core/v1alpha3/listener.go`,
/// `EnvoyTextLogFormat`.
const TEXT_FORMAT: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
    %RESPONSE_CODE% %RESPONSE_FLAGS% \"%DYNAMIC_METADATA(istio.mixer:status)%\" \
    \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
    %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \
    \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER% \
    %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% \
    %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

/// How the access log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Istio's text of 1.3 to 1.7.
    #[default]
    Text,
    /// Istio's text of 1.9 and newer.
    NewText,
    /// Istio's JSON.
    Json,
}

/// What a sidecar lets others know of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Voice {
    /// How the access log is written.
    pub log: LogFormat,
    /// The admin interface is at its port in the pod, as with Istio; else at a Unix socket, where the tracer sees nothing of it.
    pub has_admin_port: bool,
}

impl Voice {
    pub(super) fn admin_address(self, files: &Files) -> Value {
        if self.has_admin_port {
            json!({ "socket_address": { "address": "127.0.0.1", "port_value": ADMIN_PORT } })
        } else {
            json!({ "pipe": { "path": files.admin, "mode": 0o600 } })
        }
    }

    pub(super) fn log_format(self) -> Value {
        let text = |format: String| json!({ "text_format_source": { "inline_string": format } });
        match self.log {
            LogFormat::Text => text(TEXT_FORMAT.to_owned()),
            LogFormat::NewText => text(TEXT_FORMAT.replace(
                "\"%DYNAMIC_METADATA(istio.mixer:status)%\"",
                "%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS%",
            )),
            LogFormat::Json => json!({ "json_format": json_format() }),
        }
    }
}

/// `EnvoyJSONLogFormatIstio` in `pilot/pkg/model/telemetry_logging.go`.
fn json_format() -> Value {
    json!({
        "start_time": "%START_TIME%",
        "route_name": "%ROUTE_NAME%",
        "method": "%REQ(:METHOD)%",
        "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
        "protocol": "%PROTOCOL%",
        "response_code": "%RESPONSE_CODE%",
        "response_flags": "%RESPONSE_FLAGS%",
        "response_code_details": "%RESPONSE_CODE_DETAILS%",
        "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
        "bytes_received": "%BYTES_RECEIVED%",
        "bytes_sent": "%BYTES_SENT%",
        "duration": "%DURATION%",
        "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
        "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
        "user_agent": "%REQ(USER-AGENT)%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "authority": "%REQ(:AUTHORITY)%",
        "upstream_host": "%UPSTREAM_HOST%",
        "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
        "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
        "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
        "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
        "requested_server_name": "%REQUESTED_SERVER_NAME%",
        "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%"
    })
}
