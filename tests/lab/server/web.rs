//! nginx and `HAProxy` on HTTP, and nginx on HTTPS; it must not know what is asked of them.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::Probe;
use crate::certificate::{Authority, DEFAULT_IDENTITY};
use crate::container::Container;
use crate::process::Process;
use crate::program;

pub(super) fn nginx(container: &Container, port: u16) -> Result<(Process, Probe)> {
    let process = start(container, port, "", "")?;
    Ok((process, Probe::Answers { request: b"GET / HTTP/1.0\r\n\r\n", answer: b"HTTP/1.1 200" }))
}

/// HTTP/2 from the first byte on (RFC 9113, section 3.3). It begins with its settings, a frame of type 4.
pub(super) fn nginx_http2(container: &Container, port: u16) -> Result<(Process, Probe)> {
    let process = start(container, port, "http2", "")?;
    Ok((process, Probe::Listens))
}

/// It has no server behind it: what it answers, it answers by itself.
pub(super) fn haproxy(container: &Container, port: u16) -> Result<(Process, Probe)> {
    let configuration = container.folder().join("haproxy.cfg");
    fs::write(
        &configuration,
        format!(
            "global\n\
             defaults\n\
             mode http\n\
             timeout connect 5s\n\
             timeout client 5s\n\
             timeout server 5s\n\
             frontend lab\n\
             bind :::{port} v4v6\n\
             http-request return status 200 content-type text/plain string hello\n"
        ),
    )?;
    let process = container
        .command(program::system("haproxy")?)
        .as_user("haproxy")?
        .arg_pair("-db", "-f")
        .args([&configuration])
        .start()?;
    Ok((process, Probe::Answers { request: b"GET / HTTP/1.0\r\n\r\n", answer: b"HTTP/1.1 200" }))
}

pub(super) fn nginx_tls(container: &Container, port: u16, mesh: &Authority) -> Result<(Process, Probe)> {
    let process = start(container, port, "ssl http2", &certificate(container, mesh)?)?;
    Ok((process, Probe::Listens))
}

fn certificate(container: &Container, mesh: &Authority) -> Result<String> {
    let identity = mesh.sign(&format!("nginx-{}", container.id()), DEFAULT_IDENTITY)?;
    Ok(format!(
        "ssl_certificate {};\nssl_certificate_key {};\nssl_protocols TLSv1.2 TLSv1.3;\n",
        identity.certificate.display(),
        identity.key.display()
    ))
}

fn start(container: &Container, port: u16, listen: &str, options: &str) -> Result<Process> {
    let configuration = container.folder().join("nginx.conf");
    fs::write(&configuration, configuration_text(container.folder(), port, listen, options))?;
    container
        .command(program::system("nginx")?)
        .as_user("www-data")?
        .arg_pair("-p", container.folder())
        .args(["-e", "stderr"])
        .arg_pair("-c", &configuration)
        .start()
}

fn configuration_text(folder: &Path, port: u16, listen: &str, options: &str) -> String {
    format!(
        "daemon off;\n\
         worker_processes 1;\n\
         pid {folder}/pid;\n\
         error_log stderr;\n\
         events {{}}\n\
         http {{\n\
         access_log off;\n\
         keepalive_timeout 1s;\n\
         client_body_temp_path {folder}/body;\n\
         proxy_temp_path {folder}/proxy;\n\
         fastcgi_temp_path {folder}/fastcgi;\n\
         uwsgi_temp_path {folder}/uwsgi;\n\
         scgi_temp_path {folder}/scgi;\n\
         server {{\n\
         listen 0.0.0.0:{port} {listen};\n\
         listen [::]:{port} {listen};\n\
         {options}\
         location / {{ return 200 \"hello\\n\"; }}\n\
         }}\n\
         }}\n",
        folder = folder.display()
    )
}
