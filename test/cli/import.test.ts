import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { expectRefusal, ROOT, run, temporaryFolder } from './program';

const cwd = temporaryFolder();
after(() => fs.rmSync(cwd, { recursive: true }));
const fixture = (name: string): string => path.join(ROOT, 'test', 'fixtures', 'import', name);
const gemma = [
  'import',
  '--base',
  fixture('gemma-base'),
  '--adapter',
  fixture('gemma-reference'),
  '--template',
  'gemma',
];

test('import makes a folder that predict scores with, and says where every key went', async () => {
  const { code, stdout, stderr } = await run([...gemma, '--out', 'gemma', '--type', 'q8_0', '--check'], { cwd });
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  assert.match(
    stdout,
    /^adapter +base_model\.model\.model\.layers\.1\.self_attn\.q_proj\.lora_A\.weight F32 \[4, 64\] -> blk\.1\.attn_q\.weight\.lora_a$/m,
  );
  assert.match(stdout, /^head +base_model\.model\.score\.weight F32 \[3, 64\] -> score\.weight$/m);
  assert.match(stdout, /^lora +adapter\.gguf: 6 pairs, 3584 parameters, rank 4, scale 2$/m);
  assert.match(stdout, /^ +modules k_proj, q_proj, v_proj of layers 1-2$/m);
  assert.match(stdout, /^tokenizer .* 400 tokens, bos 2, eos 1$/m);
  assert.match(stdout, /tokenizer\.json: agrees$/m);
  assert.equal([...stdout.matchAll(/^check .*: a 0\.\d{4}, b 0\.\d{4}, tie 0\.\d{4}$/gm)].length, 3);
  assert.deepEqual(fs.readdirSync(path.join(cwd, 'gemma')).sort(), [
    'adapter.gguf',
    'base.gguf',
    'head.gguf',
    'import.json',
    'manifest.json',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  fs.writeFileSync(path.join(cwd, 'ensemble.json'), '{"models":[{"path":"gemma","weight":1,"device":"cpu"}]}');
  fs.writeFileSync(path.join(cwd, 'pairs.csv'), 'id,prompt,response_a,response_b\n1,"[""p""]","[""a""]","[""b""]"\n');
  const scored = await run(['predict', '-i', 'pairs.csv', '-o', '-', '--ensemble', 'ensemble.json'], { cwd });
  assert.equal(scored.code, 0, scored.stderr);
  assert.match(scored.stdout, /^1,0\.\d+,0\.\d+,0\.\d+$/m);
});

test('--dry-run --json reports and writes nothing', async () => {
  const { code, stdout, stderr } = await run([...gemma, '--out', 'dry', '--dry-run', '--json'], { cwd });
  assert.equal(code, 0, stderr);
  const report: unknown = JSON.parse(stdout);
  assert.ok(
    typeof report === 'object' &&
      report !== null &&
      'written' in report &&
      'keys' in report &&
      Array.isArray(report.keys),
  );
  assert.equal(report.written, false);
  assert.equal(report.keys.length, 13 + 35);
  assert.equal(fs.existsSync(path.join(cwd, 'dry')), false);
});

test('what cannot be imported is refused with exit code 4, and leaves nothing', async () => {
  const result = await run(
    [
      'import',
      '--base',
      fixture('gemma-base'),
      '--adapter',
      fixture('gemma-dora'),
      '--template',
      'gemma',
      '--out',
      'x',
    ],
    { cwd },
  );
  expectRefusal(result, 4, /use_dora is true.*\[ERR_MODEL_MISMATCH\]/);
  assert.equal(fs.existsSync(path.join(cwd, 'x')), false);
});

test('wrong flags are refused with exit code 2', async () => {
  for (const [flags, text] of [
    [[...gemma], /--out/],
    [[...gemma, '--out', 'x', '--type', 'q9'], /--type to be one of/],
    [[...gemma, '--out', 'x', '--lora-alpha', '-1'], /positive number/],
    [[...gemma, '--out', 'x', '--average', 'median'], /deltas, factors/],
    [['import', '--base', fixture('gemma-base'), '--template', 'gpt', '--out', 'x'], /gemma, llama or a JSON file/],
    [[...gemma, '--out', '.'], /new or empty/],
  ] as const) {
    if (flags.at(-1) === '.') fs.writeFileSync(path.join(cwd, 'precious'), '');
    expectRefusal(await run(flags, { cwd }), 2, text);
    assert.equal(fs.existsSync(path.join(cwd, 'x')), false);
  }
});
