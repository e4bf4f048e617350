/** Less than 0 when `a` is the older of two versions of a package, more than 0 when it is the newer. A pre-release comes before its release. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parts(a), parts(b)];
  return inOrder(left.numbers, right.numbers) || Number(left.label === '') - Number(right.label === '') || inOrder(left.label, right.label);
}

function parts(version: string): { numbers: string; label: string } {
  const [, numbers = '', label = ''] = /^([^-+]*)(?:-([^+]*))?/.exec(version)!;
  return { numbers, label };
}

function inOrder(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
