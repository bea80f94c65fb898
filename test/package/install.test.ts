/** cmake/install.mjs among binaries that fit and binaries that do not, where nothing can be compiled. */

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { ROOT, bareEnvironment, run, type Outcome } from './staging';

const BUILT = join('build', 'Release');
const PREBUILT = join('prebuilds', `${process.platform}-${process.arch}`);
const MUSL = join(PREBUILT, 'pairscore.musl.node');
const GLIBC = join(PREBUILT, 'pairscore.glibc.node');
const OWN = join(ROOT, BUILT);

describe('the install script, with neither compiler nor cmake', () => {
  let folder: string;
  let root: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'pairscore-install-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  beforeEach(() => {
    root = mkdtempSync(join(folder, 'package-'));
    for (const name of ['cmake', 'native', 'CMakeLists.txt', 'package.json']) {
      cpSync(join(ROOT, name), join(root, name), { recursive: true });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'), 'dir');
  });

  const install = (): Outcome => run('node', ['cmake/install.mjs'], { cwd: root, env: bareEnvironment(folder) });
  /** What the loader of lib/native would take now. */
  const chosen = (): string =>
    run('node', ['-p', "require('node-gyp-build').path('.')"], {
      cwd: root,
      env: bareEnvironment(folder),
    }).stdout.trim();
  const place = (name: string, binary: 'good' | 'broken', stamp: 'current' | 'old' = 'current'): void => {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    if (binary === 'good') cpSync(join(OWN, 'pairscore.node'), join(root, name));
    else writeFileSync(join(root, name), 'no library');
    const target = join(root, dirname(name), 'pairscore.stamp');
    if (stamp === 'current') cpSync(join(OWN, 'pairscore.stamp'), target);
    else writeFileSync(target, '0.0.1 abc\n');
  };

  test('a build of these sources comes first, as in the loader', () => {
    place(join(BUILT, 'pairscore.node'), 'good');
    place(GLIBC, 'broken');
    const { status, stderr } = install();
    assert.equal(status, 0, stderr);
    assert.equal(stderr, 'pairscore: using build/Release/pairscore.node\n');
  });

  for (const [what, binary, stamp, why] of [
    ['an old build', 'good', 'old', /build\/Release\/pairscore\.node was built from other sources/],
    ['a build that does not load', 'broken', 'current', /build\/Release\/pairscore\.node is not for this machine: .*/],
  ] as const) {
    test(`${what} makes way for a prebuilt binary that fits, and the loader takes that one`, () => {
      place(join(BUILT, 'pairscore.node'), binary, stamp);
      place(GLIBC, 'good');
      const { status, stderr } = install();
      assert.equal(status, 0, stderr);
      assert.match(stderr, why);
      assert.match(stderr, /pairscore: using prebuilds\/\S+\/pairscore\.glibc\.node\n$/);
      assert.equal(chosen(), join(root, GLIBC));
      assert.ok(existsSync(join(root, BUILT, 'pairscore.node.refused')));
    });
  }

  test('every build that cannot be used makes way, the debug build too', () => {
    place(join(BUILT, 'a.node'), 'broken');
    place(join(BUILT, 'pairscore.node'), 'broken');
    place(join('build', 'Debug', 'pairscore.node'), 'good', 'old');
    place(GLIBC, 'good');
    assert.equal(install().status, 0);
    assert.equal(chosen(), join(root, GLIBC));
  });

  test("a prebuilt binary for another C library is not this machine's, whatever the order of names", () => {
    place(GLIBC, 'good');
    place(MUSL, 'broken');
    place(join(PREBUILT, 'a.musl.node'), 'broken');
    const { status, stderr } = install();
    assert.equal(status, 0, stderr);
    assert.match(stderr, /using prebuilds\/\S+\/pairscore\.glibc\.node/);
  });

  test('where none can be used all lie where they lay, each was told why, and a build is asked for', () => {
    place(join(BUILT, 'pairscore.node'), 'good', 'old');
    place(GLIBC, 'broken');
    const { status, stderr } = install();
    assert.equal(status, 1);
    assert.match(stderr, /build\/Release\/pairscore\.node was built from other sources/);
    assert.match(stderr, /pairscore\.glibc\.node is not for this machine/);
    assert.match(stderr, /building needs .*Debian package g\+\+/);
    assert.deepEqual(readdirSync(join(root, BUILT)).sort(), ['pairscore.node', 'pairscore.stamp']);
  });

  test('a prebuilt binary that the loader would take but cannot load is not passed over for another', () => {
    place(join(PREBUILT, 'a.glibc.node'), 'broken');
    place(join(PREBUILT, 'pairscore.node'), 'good');
    const { status, stderr } = install();
    assert.equal(status, 1, stderr);
    assert.match(stderr, /a\.glibc\.node is not for this machine/);
  });
});
