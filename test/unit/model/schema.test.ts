import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { jsonSchemas } from '../../../lib/model/json-schema';

const models = resolve(__dirname, '..', '..', '..', 'models');

for (const [name, schema] of Object.entries(jsonSchemas())) {
  test(`models/${name} is what the program checks (UPDATE_SCHEMAS=1 writes it)`, () => {
    const path = resolve(models, name);
    const text = `${JSON.stringify(schema, null, 2)}\n`;
    if (process.env['UPDATE_SCHEMAS'] === '1') writeFileSync(path, text);
    assert.equal(readFileSync(path, 'utf8'), text);
  });
}
