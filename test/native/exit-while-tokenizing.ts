/** Child process of exit.test.ts: ends in the middle of native work, as process.exit() may anywhere. */

import { loadAddon } from '../../lib/native/load';
import { demoFile } from './demo';

async function main(): Promise<void> {
  const addon = loadAddon();
  const spec = { basePath: demoFile('llama', 'base.gguf'), threads: 2 };
  const tokenizer = await addon.openTokenizer(spec, addon.newStop());
  const texts = Array.from({ length: 40 }, () => 'hello wörld 123 '.repeat(20_000));
  setTimeout(() => process.exit(7), 60);
  await tokenizer.tokenize(texts, true);
}

void main();
