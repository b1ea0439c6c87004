{ "target_defaults": {
    "default_configuration": "Release",
    "cflags": ["-fPIC", "-pthread"],
    "ldflags": ["-pthread", "-Wl,--gc-sections"],
    "configurations": {
      "Release": { "cflags": ["-O3", "-g", "-fno-omit-frame-pointer", "-ffunction-sections", "-fdata-sections"], "defines": ["NDEBUG"] },
      "Debug": { "cflags": ["-O0", "-g"] } } } }
