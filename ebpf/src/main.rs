//! The eBPF programs: a table of hooks, each handing over to one file in `hook/`.
#![no_std]
#![no_main]
#![expect(
    clippy::inline_always,
    reason = "the verifier follows types and bounds best when a program is one function"
)]
#![expect(clippy::needless_pass_by_value, reason = "the attribute macros hand the context over by value")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "kernel fields and registers differ in width; each cast is of a value that fits, or wraps as TCP's numbers do"
)]
#![expect(clippy::cast_ptr_alignment, reason = "kernel objects and records are aligned to their fields")]

mod emit;
mod hook;
mod maps;
mod sock;

use aya_ebpf::{
    macros::{btf_tracepoint, cgroup_skb, fexit, kprobe, kretprobe, sock_ops, tracepoint},
    programs::{
        BtfTracePointContext, FExitContext, ProbeContext, RetProbeContext, SkBuffContext, SockOpsContext,
        TracePointContext,
    },
};

/// A `cgroup_skb` program that returns this lets the packet pass; no program here returns anything else.
const PASS: i32 = 1;

#[btf_tracepoint(function = "inet_sock_set_state")]
fn socket_state(ctx: BtfTracePointContext) -> i32 {
    hook::state::changed(&ctx)
}

#[btf_tracepoint(function = "tcp_receive_reset")]
fn reset_received(ctx: BtfTracePointContext) -> i32 {
    hook::reset::received(&ctx)
}

#[btf_tracepoint(function = "tcp_send_reset")]
fn reset_sent(ctx: BtfTracePointContext) -> i32 {
    hook::reset::sent(&ctx)
}

#[btf_tracepoint(function = "tcp_send_reset")]
fn reset_sent_without_reason(ctx: BtfTracePointContext) -> i32 {
    hook::reset::sent_without_reason(&ctx)
}

#[cgroup_skb(egress)]
fn payload_sent(ctx: SkBuffContext) -> i32 {
    hook::payload::sent(&ctx);
    PASS
}

#[cgroup_skb(ingress)]
fn payload_received(ctx: SkBuffContext) -> i32 {
    hook::payload::received(&ctx);
    PASS
}

#[btf_tracepoint(function = "tcp_destroy_sock")]
fn socket_destroyed(ctx: BtfTracePointContext) -> i32 {
    hook::sentinel::destroyed(&ctx)
}

#[fexit(function = "tcp_v4_connect")]
fn connect_v4_exited(ctx: FExitContext) -> i32 {
    hook::connect::exited(&ctx)
}

#[fexit(function = "tcp_v6_connect")]
fn connect_v6_exited(ctx: FExitContext) -> i32 {
    hook::connect::exited(&ctx)
}

#[kprobe]
fn connect_began(ctx: ProbeContext) -> u32 {
    hook::connect::began(&ctx)
}

#[kretprobe]
fn connect_returned(ctx: RetProbeContext) -> u32 {
    hook::connect::returned(&ctx)
}

/// 1 leaves the reply as the kernel has prepared it, which is its own default for all it asks (`tcp_call_bpf`, include/net/tcp.h).
#[sock_ops]
fn socket_called(ctx: SockOpsContext) -> u32 {
    hook::ops::called(&ctx);
    1
}

#[tracepoint(category = "tcp", name = "tcp_receive_reset")]
fn reset_received_classic(ctx: TracePointContext) -> u32 {
    hook::classic::reset_received(&ctx)
}

/// Programs cannot panic: the verifier refuses what could. The compiler wants a handler all the same.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel lets only GPL-compatible programs use the helpers these need; the source is MIT OR Apache-2.0 as well.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
