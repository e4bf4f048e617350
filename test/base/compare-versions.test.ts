import { expect, test } from 'vitest';
import { compareVersions } from '../../src/base/compare-versions.ts';

test('versions come in the order in which they were made', () => {
  const inOrder = ['0.0.9', '0.0.10', '0.1.0-alpha.2', '0.1.0-alpha.10', '0.1.0-beta', '0.1.0', '0.1.1', '0.2.0', '1.0.0', '10.0.0'];
  const signs = inOrder.flatMap((a, i) => inOrder.map((b, j) => Math.sign(compareVersions(a, b)) === Math.sign(i - j)));
  expect(signs).not.toContain(false);
});

test('what a version was built from is no part of it', () => {
  expect(compareVersions('1.0.0+abc', '1.0.0')).toBe(0);
});
