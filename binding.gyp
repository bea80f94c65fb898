{
  # For node-gyp, which npm and node-gyp-build fall back to: CMake builds, from the only list of sources.
  'targets': [
    {
      'target_name': 'pairscore',
      'type': 'none',
      'actions': [
        {
          'action_name': 'cmake',
          'inputs': [],
          'outputs': ['<(module_root_dir)/build/Release/pairscore.node'],
          'action': ['node', '<(module_root_dir)/cmake/build.mjs'],
        },
      ],
    },
  ],
}
