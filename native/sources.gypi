{ "variables": {
    "core_lib_sources": [
      "native/table/region.c",
      "native/table/session_table.c",
      "native/table/freer.c",
      "native/table/rcu.c",
      "native/table/scan.c",
      "native/table/verify.c",
      "native/table/wire.c",
      "native/table/adopt.c",
      "native/table/writer.c",
      "native/table/reconcile.c",
      "native/table/reevaluate.c",
      "native/table/nat_usage.c",
      "native/table/maglev.c",
      "native/mirror/mirror.c",
      "native/mirror/netlink.c",
      "native/mirror/netns.c",
      "native/mirror/neighbours.c",
      "native/mirror/routes.c",
      "native/backend/userspace/worker.c",
      "native/backend/userspace/port_packet.c",
      "native/backend/userspace/port_pcap.c",
      "native/backend/userspace/port_tap.c",
      "native/backend/userspace/port_source.c",
      "native/backend/userspace/links.c",
      "native/backend/userspace/ops.c"
    ],
    "core_addon_sources": [
      "native/addon/addon.cc",
      "native/addon/convert.cc",
      "native/addon/table.cc",
      "native/addon/dataplane.cc",
      "native/addon/maglev.cc"
    ],
    "bpf_program_sources": ["native/backend/ebpf/xdp.bpf.c"],
    "ebpf_lib_sources": [
      "native/backend/ebpf/object.c",
      "native/backend/ebpf/load.c",
      "native/backend/ebpf/pins.c",
      "native/backend/ebpf/links.c",
      "native/backend/ebpf/probe.c"
    ],
    "ebpf_addon_sources": ["native/addon/ebpf.cc", "native/addon/convert.cc"],
    "keeper_sources": [
      "native/keeper/keeper.c",
      "native/mirror/mirror.c",
      "native/mirror/netlink.c",
      "native/mirror/netns.c",
      "native/mirror/neighbours.c",
      "native/mirror/routes.c",
      "native/table/region.c",
      "native/table/freer.c",
      "native/table/rcu.c",
      "native/table/adopt.c",
      "native/table/wire.c",
      "native/table/writer.c"
    ],
    "native_test_sources": [
      "test/native/maglev_test.c",
      "test/native/table_test.c",
      "test/native/crash_test.c",
      "test/native/pipeline_test.c",
      "test/native/stress_test.c",
      "test/native/hazards_test.c",
      "test/native/links_test.c",
      "test/native/golden_test.c",
      "test/native/pipeline_corpus_test.c",
      "test/native/wire_corpus_test.c"
    ],
    "native_bpf_test_sources": ["test/native/bpf_golden_test.c", "test/native/bpf_diff_test.c", "test/native/bpf_refused_test.c"],
    "native_fuzz_sources": ["test/fuzz/native/pipeline_fuzz.c", "test/fuzz/native/wire_fuzz.c"],
    "native_bench_sources": [
      "bench/table/table_bench.c",
      "bench/reconcile/reconcile_bench.c",
      "bench/pipeline/pipeline_bench.c"
    ],
    "native_bpf_bench_sources": ["bench/table/maps_bench.c", "bench/pipeline/xdp_bench.c"],
    "bpf_bench_program_sources": ["bench/pipeline/ours.bpf.c", "bench/pipeline/peer.bpf.c"],
    "native_defines": [
      "NAPI_VERSION=9",
      "NODE_ADDON_API_CPP_EXCEPTIONS",
      "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
    ],
    "native_warnings": ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-format-truncation", "-Wno-unknown-warning-option"]
  }
}
