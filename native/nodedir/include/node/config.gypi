{"variables": {}, "target_defaults": {"default_configuration": "Release"}}
