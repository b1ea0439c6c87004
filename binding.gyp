# The N-API addons, as node-gyp-build and prebuildify build them. Sources: native/sources.gypi (shared with CMakeLists.txt).
#
# `core` is the only target that always exists and must stay first in the alphabet: node-gyp-build takes the first *.node.
# What an optional SDK brings becomes a target inside "conditions" below, so that a host without the SDK still builds `core`. The XDP program
# (`ebpf_object`) needs clang and libbpf; WITH_EBPF=0 leaves it out, and with it the `ebpf` addon and the keeper. `lockstep-dpdk` needs libdpdk;
# WITH_DPDK=0 leaves it out.
# nettle is linked statically where its archive is there, so that nothing is needed at run time.
#
# Compare with ==1, never =='1': gyp turns "1" into a number and the string comparison silently drops the target.
#
# Node's own headers are not needed: N-API comes from node-api-headers, and native/nodedir is a stub that satisfies node-gyp.
{
  "includes": ["native/sources.gypi"],
  "variables": {
    "with_ebpf%": "<!(test \"$WITH_EBPF\" != 0 && pkg-config --exists libbpf && command -v clang > /dev/null && echo 1 || echo 0)",
    "with_dpdk%": "<!(test \"$WITH_DPDK\" != 0 && pkg-config --exists libdpdk && echo 1 || echo 0)",
    "bpf_object": "<(module_root_dir)/build/xdp.bpf.o",
    "nettle": "<!(f=$(pkg-config --variable=libdir nettle)/libnettle.a; test -f $f && echo $f || pkg-config --libs nettle)"
  },
  "target_defaults": {
    "include_dirs": ["native/include", "native"],
    "defines": ["<@(native_defines)", "_GNU_SOURCE"],
    "cflags": ["<@(native_warnings)", "<@(native_arithmetic)", "<!@(pkg-config --cflags libmnl nettle)"],
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
      "libraries": ["<!@(pkg-config --libs libmnl)", "<(nettle)", "-Wl,--exclude-libs,libnettle.a"]
    }
  ],
  "conditions": [
    ["with_dpdk==1", {
      "targets": [
        { # a process of its own (native/dpdk/main.c); only it is linked with DPDK
          "target_name": "lockstep-dpdk",
          "type": "executable",
          "sources": ["<@(dpdk_sources)", "<@(dpdk_engine_sources)"],
          "cflags": ["<!@(pkg-config --cflags libdpdk)"],
          "libraries": ["<!@(pkg-config --libs libdpdk libmnl)", "-lpthread", "-Wl,--export-dynamic-symbol=setsockopt"]
        }
      ]
    }],
    ["with_ebpf==1", {
      "targets": [
        {
          "target_name": "ebpf_object",
          "type": "none",
          "actions": [
            {
              "action_name": "xdp_program",
              "inputs": ["<@(bpf_program_sources)", "<!@(find native/pipeline native/include native/table native/backend/ebpf -name '*.h' -o -name '*.def')"],
              "outputs": ["<(bpf_object)"],
              "action": ["clang", "-target", "bpf", "-ffreestanding", "-mcpu=v3", "-O2", "-g", "-Wall", "-Werror", "-I", "native/include", "-I", "native",
                         "-c", "<@(bpf_program_sources)", "-o", "<(bpf_object)"]
            }
          ]
        },
        {
          "target_name": "ebpf",
          "dependencies": ["ebpf_object"],
          "product_dir": "<(module_root_dir)/native/backend/ebpf/build/Release",
          "sources": ["<@(ebpf_lib_sources)", "<@(ebpf_addon_sources)"],
          "sources!": ["native/backend/ebpf/object.c"],
          "actions": [
            { # what takes the object in is compiled again when the object is new
              "action_name": "embed",
              "inputs": ["<(bpf_object)", "native/backend/ebpf/object.c"],
              "outputs": ["<(INTERMEDIATE_DIR)/xdp_object.c"],
              "action": ["cp", "native/backend/ebpf/object.c", "<@(_outputs)"],
              "process_outputs_as_sources": 1
            }
          ],
          "defines": ["LS_BPF_OBJECT=\"<(bpf_object)\""],
          "libraries": ["<!@(pkg-config --libs libbpf)"]
        },
        {
          "target_name": "lockstep-keeper",
          "type": "executable",
          "sources": ["<@(keeper_sources)"],
          "libraries": ["<!@(pkg-config --libs libmnl)", "<(nettle)", "-lpthread"]
        }
      ]
    }]
  ]
}
