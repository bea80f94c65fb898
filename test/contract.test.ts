/** Rule 2 of the house: the border is written once, in lib/native/contract.ts, and C++ says the same. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import ts from 'typescript';
import { ERROR_CODES } from '../lib/errors';

const ROOT = join(__dirname, '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

interface Shape {
  /** Signatures by method name, as contract.ts writes them. */
  readonly methods: ReadonlyMap<string, string>;
  readonly fields: readonly string[];
  /** Members that are optional or not readonly. */
  readonly loose: readonly string[];
}

function isReadonly(member: ts.PropertySignature): boolean {
  return member.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ReadonlyKeyword) ?? false;
}

function shapeOf(declaration: ts.InterfaceDeclaration, file: ts.SourceFile): Shape {
  const methods = declaration.members.filter(ts.isMethodSignature);
  const fields = declaration.members.filter(ts.isPropertySignature);
  const nameOf = (member: ts.TypeElement): string => member.name?.getText(file) ?? '';
  return {
    methods: new Map(methods.map((member) => [nameOf(member), member.getText(file).replace(/;$/, '')])),
    fields: fields.map(nameOf),
    loose: fields.filter((field) => field.questionToken !== undefined || !isReadonly(field)).map(nameOf),
  };
}

function readContract(): ReadonlyMap<string, Shape> {
  const path = 'lib/native/contract.ts';
  const file = ts.createSourceFile(path, read(path), ts.ScriptTarget.ES2022, true);
  const interfaces = file.statements.filter(ts.isInterfaceDeclaration);
  return new Map(interfaces.map((declaration) => [declaration.name.text, shapeOf(declaration, file)]));
}

const contract = readContract();

function shape(name: string): Shape {
  const found = contract.get(name);
  assert.ok(found, `contract.ts declares ${name}`);
  return found;
}

const bindings = readdirSync(join(ROOT, 'native/binding'))
  .filter((name) => name.endsWith('.cc'))
  .map((name) => read(`native/binding/${name}`));

interface VisibleMethod {
  /** '' for a function of the addon itself. */
  readonly owner: string;
  readonly name: string;
  readonly signature: string;
}

/** C++ functions that JavaScript calls, with the comment line above each. Constructors take no part: JS cannot call them. */
function visibleMethods(source: string): readonly VisibleMethod[] {
  const definition = /^(.*)\nNapi::Value (?:(\w+)::)?(\w+)\(const Napi::CallbackInfo & \w+\) \{/gm;
  return [...source.matchAll(definition)].map(([, above = '', owner = '', name = '']) => ({
    owner,
    name,
    signature: above.replace(/^\/\/ /, ''),
  }));
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function structFields(name: string): readonly string[] {
  const body = new RegExp(`^struct ${name} \\{\\n([^}]*)\\};`, 'm').exec(read('native/engine/engine.h'))?.[1];
  assert.ok(body, `engine.h declares struct ${name}`);
  return [...body.matchAll(/^ {2}[\w:<>]+ (\w+);/gm)].map((match) => match[1] ?? '');
}

describe('methods', () => {
  const owners = ['NativeAddon', 'NativeEngine', 'NativeTokenizer', 'NativeStop'];
  const visible = bindings.flatMap(visibleMethods);

  for (const owner of owners) {
    test(`each method of ${owner} stands in C++ under its exact signature`, () => {
      const cppOwner = owner === 'NativeAddon' ? '' : owner;
      for (const [name, signature] of shape(owner).methods) {
        const found = visible.filter((method) => method.owner === cppOwner && method.signature === signature);
        assert.equal(found.length, 1, `Expected one C++ method of ${owner} under "// ${signature}"`);
        const pascal = name.charAt(0).toUpperCase() + name.slice(1);
        assert.ok(found[0]?.name.startsWith(pascal), `Expected ${pascal} but received ${found[0]?.name ?? 'nothing'}`);
      }
    });
  }

  test('C++ shows JavaScript no function that the contract lacks', () => {
    const signatures = owners.flatMap((owner) => [...shape(owner).methods.values()]);
    const strays = visible.filter(({ signature }) => !signatures.includes(signature));
    assert.deepEqual(strays, []);
  });

  test('the names that C++ registers are the names of the contract', () => {
    const names = /InstanceMethod<&(\w+)::\w+>\("(\w+)"/g;
    const registered = bindings.flatMap((text) =>
      [...text.matchAll(names)].map(([, owner, name]) => `${owner}.${name}`),
    );
    const declared = ['NativeEngine', 'NativeTokenizer', 'NativeStop'].flatMap((owner) =>
      [...shape(owner).methods.keys()].map((name) => `${owner}.${name}`),
    );
    assert.deepEqual([...registered].sort(), [...declared].sort());
    const exported = bindings.flatMap((text) => [...text.matchAll(/exports\.Set\("(\w+)"/g)].map((match) => match[1]));
    assert.deepEqual([...exported].sort(), [...shape('NativeAddon').methods.keys()].sort());
  });
});

describe('values', () => {
  for (const name of ['EngineSpec', 'EngineInfo', 'TokenLists', 'RowsSpec', 'DeviceInfo']) {
    test(`${name} has the same fields in contract.ts and engine.h`, () => {
      assert.deepEqual(structFields(name), shape(name).fields.map(snakeCase));
    });
  }

  test('BuildInfo has the same fields, and the binding adds the error codes', () => {
    assert.deepEqual([...structFields('BuildInfo'), 'error_codes'], shape('BuildInfo').fields.map(snakeCase));
  });

  test('no field of the border is optional or writable', () => {
    assert.deepEqual(
      [...contract].flatMap(([name, { loose }]) => loose.map((field) => `${name}.${field}`)),
      [],
    );
  });

  test('the binding reads every field of a spec and sets every field of an info', () => {
    const text = bindings.join('\n');
    const readNames = [...text.matchAll(/\w+Field\(\w+, "(\w+)"\)/g)].map((match) => match[1] ?? '');
    const setNames = [...text.matchAll(/\bobject\.Set\("(\w+)"/g)].map((match) => match[1] ?? '');
    const unique = (names: readonly string[]): readonly string[] => [...new Set(names)].sort();
    assert.deepEqual(
      unique(readNames),
      unique(['EngineSpec', 'TokenizerSpec', 'RowsSpec'].flatMap((name) => shape(name).fields)),
    );
    const infos = ['EngineInfo', 'TokenLists', 'DeviceInfo', 'BuildInfo'];
    assert.deepEqual(unique(setNames), unique(infos.flatMap((name) => shape(name).fields)));
  });
});

describe('error codes', () => {
  const table = read('native/error.h');
  const entries = [...table.matchAll(/\{Code::(\w+), "(\w+)"\}/g)].map(([, code = '', name = '']) => ({ code, name }));
  const members = /enum class Code \{([^}]*)\}/.exec(table)?.[1] ?? '';

  test('every native code is a code of lib/errors.ts', () => {
    assert.ok(entries.length > 0);
    assert.deepEqual(
      entries.filter(({ name }) => !Object.hasOwn(ERROR_CODES, name)),
      [],
    );
  });

  test('every member of the enum has one name, made from its own', () => {
    const names = [...members.matchAll(/\w+/g)].map((match) => match[0]);
    assert.deepEqual(
      entries.map(({ code }) => code),
      names,
    );
    for (const { code, name } of entries) assert.equal(name, `ERR_${code.toUpperCase()}`);
  });
});
