// Peer: node-llama-cpp's embedding context, what a Node user finds first. usage: node_llama.mjs MODEL cpu|cuda:N ROWS
import { readFileSync } from 'node:fs';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';

const [modelPath, device, rowsPath] = process.argv.slice(2);

async function main() {
  const rows = readFileSync(rowsPath, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map(Number));
  const llama = await getLlama({ gpu: device === 'cpu' ? false : 'cuda', logLevel: LlamaLogLevel.error });
  const model = await llama.loadModel({ modelPath });
  const longest = Math.max(...rows.map((row) => row.length));
  const context = await model.createEmbeddingContext({ contextSize: longest + 8, batchSize: longest + 8 });
  await context.getEmbeddingFor(rows[0]);
  const started = performance.now();
  for (const row of rows) await context.getEmbeddingFor(row);
  const seconds = (performance.now() - started) / 1000;
  const tokens = rows.reduce((sum, row) => sum + row.length, 0);
  const result = { peer: 'node-llama-cpp', mode: 'embedding context, no adapter', tokens, seconds };
  console.log(JSON.stringify({ ...result, tokensPerSecond: tokens / seconds }));
}

await main();
