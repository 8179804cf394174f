{
  "variables": { "werror%": 0, "sanitize%": 0 },
  "targets": [
    {
      "target_name": "handover",
      "sources": [
        "addon.c", "constants.c", "address.c", "descriptor.c", "socket.c", "accept.c", "peek.c", "control.c", "message.c",
        "many.c", "arrived.c", "ready.c", "schedule.c", "affinity.c", "watch.c", "identity.c", "pidfd.c", "lock.c", "pipe-path.c"
      ],
      "defines": ["NAPI_VERSION=8"],
      "cflags": ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden"],
      "xcode_settings": { "OTHER_CFLAGS": ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden"] },
      "conditions": [
        ["werror==1", { "cflags": ["-Werror"], "xcode_settings": { "OTHER_CFLAGS": ["-Werror"] } }],
        ["sanitize==1", {
          "cflags": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g"],
          "ldflags": ["-fsanitize=address,undefined"]
        }]
      ]
    }
  ]
}
