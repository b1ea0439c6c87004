# The N-API addons, as node-gyp-build and prebuildify build them. Sources: native/sources.gypi (shared with CMakeLists.txt).
#
# `core` is the only target that always exists and must stay first in the alphabet: node-gyp-build takes the first *.node.
# An addon for an optional SDK (ebpf, dpdk, vpp) becomes a target inside "conditions" below, so that a host without the SDK
# still builds `core`. Its shape, once it has sources:
#   "variables":  "with_ebpf%": "<!(test \"$WITH_EBPF\" != 0 && pkg-config --exists libbpf && echo 1 || echo 0)"
#   "conditions": [["with_ebpf==1", { "targets": [{ "target_name": "ebpf", "sources": ["<@(ebpf_addon_sources)"],
#                    "product_dir": "<(module_root_dir)/native/backend/ebpf/build/Release", ... }] }]]
# Compare with ==1, never =='1': gyp turns "1" into a number and the string comparison silently drops the target.
#
# Node's own headers are not needed: N-API comes from node-api-headers, and native/nodedir is a stub that satisfies node-gyp.
{
  "includes": ["native/sources.gypi"],
  "target_defaults": {
    "include_dirs": ["native/include", "native"],
    "defines": ["<@(native_defines)", "_GNU_SOURCE"],
    "cflags": ["<@(native_warnings)", "<!@(pkg-config --cflags libmnl)"],
    "cflags_c": ["-std=gnu11", "-fvisibility=hidden"],
    "cflags!": ["-fno-exceptions"],
    "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17"],
    "cflags_cc": [
      "-std=gnu++20", "-fvisibility=hidden",
      "-isystem <!(node -p \"require('node-api-headers').include_dir\")",
      "-isystem <!(node -p \"require('path').dirname(require.resolve('node-addon-api/package.json'))\")"
    ]
  },
  "targets": [
    {
      "target_name": "core",
      "sources": ["<@(core_lib_sources)", "<@(core_addon_sources)"],
      "libraries": ["<!@(pkg-config --libs libmnl)"]
    }
  ],
  "conditions": []
}
