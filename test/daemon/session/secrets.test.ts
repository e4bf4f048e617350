import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { redact, type SecretKind, secretsIn } from '../../../src/daemon/session/secrets.ts';

/** So many characters that look drawn at random and are the same each time. No secret stands in this file as a whole, so no scanner finds one. */
function drawn(length: number, from = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', seed = 'x'): string {
  let text = '';
  for (let n = 0; text.length < length; n++)
    for (const byte of createHash('sha256').update(`${seed}${n}`).digest()) text += from[byte % from.length];
  return text.slice(0, length);
}

const URL_SAFE = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-';
const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const JWT = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url({ sub: '1234567890' })}.${drawn(43, URL_SAFE)}`;
const PEM_BODY = `\n${drawn(64)}\n${drawn(64, undefined, 'y')}\n${drawn(20)}==\n`;
const pem = (kind: string, body = PEM_BODY) => [`-----BEGIN ${kind}PRIVATE KEY-----`, body, `-----END ${kind}PRIVATE KEY-----`];

/** What is found, as text. */
const found = (text: string) => secretsIn(text).map(({ kind, index, length }) => [kind, text.slice(index, index + length)]);

const TOKENS: [SecretKind, string][] = [
  ['AWS access key', `AKIA${drawn(16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')}`],
  ['AWS access key', `ASIA${drawn(16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')}`],
  ...['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'].map((prefix): [SecretKind, string] => ['GitHub token', prefix + drawn(36)]),
  ['GitHub token', `github_pat_${drawn(22)}_${drawn(59)}`],
  ['GitLab token', `glpat-${drawn(20, URL_SAFE)}`],
  ['Anthropic key', `sk-ant-api03-${drawn(93, URL_SAFE)}AA`],
  ['Anthropic key', `sk-ant-oat01-${drawn(80)}`],
  ['OpenAI key', `sk-proj-${drawn(120, URL_SAFE)}a`],
  ['OpenAI key', `sk-svcacct-${drawn(60)}`],
  ['OpenAI key', `sk-${drawn(48)}`],
  ['OpenRouter key', `sk-or-v1-${drawn(64, '0123456789abcdef')}`],
  ['Slack token', `xoxb-123456789012-123456789012-${drawn(24)}`],
  ['Google API key', `AIza${drawn(34, URL_SAFE)}a`],
  ['npm token', `npm_${drawn(36)}`],
  ['Stripe key', `sk_live_${drawn(24)}`],
  ['Hugging Face token', `hf_${drawn(34)}`],
  ['JSON web token', JWT],
];

describe('a token is found as it is', () => {
  test.each(TOKENS)('%s: %s', (kind, token) => {
    for (const text of [
      token,
      `x ${token} y`,
      `KEY=${token}`,
      `"${token}"`,
      `(${token})`,
      `https://${token}@host/x`,
      `${token}.\n`,
      `a:${token},`,
    ])
      expect([text, found(text)]).toEqual([text, expect.arrayContaining([[kind, token]])]);
  });

  test.each(TOKENS.filter(([kind]) => kind !== 'JSON web token'))('and not within a longer word: %s %s', (_, token) => {
    for (const text of [`x${token}`, `x_${token}`, `${token}${'x'.repeat(300)}`, `-${token}`, token.slice(0, 16)])
      expect([text, found(text)]).toEqual([text, []]);
  });

  test('many in a row, in order', () => {
    const text = TOKENS.map(([, token]) => token).join('\n');
    expect(found(text)).toEqual(TOKENS);
    const places = secretsIn(text).map(({ index }) => index);
    expect(places).toEqual([...places].sort((a, b) => a - b));
  });
});

describe('a private key', () => {
  test.each(['', 'RSA ', 'EC ', 'OPENSSH ', 'ENCRYPTED '])('of kind "%s" is found with its body', (kind) => {
    const [head, body, end] = pem(kind);
    expect(found(`cat key\n${head}${body}${end}\n$ `)).toEqual([['private key', `${head}${body}`]]);
  });

  test('is found with headers, in JSON, and cut off', () => {
    const headers = `\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n${PEM_BODY}`;
    expect(found(pem('RSA ', headers).join(''))).toEqual([['private key', pem('RSA ', headers).slice(0, 2).join('')]]);
    const json = JSON.stringify({ key: pem('').join('') });
    expect(found(json).map(([kind]) => kind)).toEqual(['private key']);
    const [head, body] = pem('EC ');
    expect(found(`${head}${body}`)).toEqual([['private key', `${head}${body}`]]);
    expect(found(`${head}${body}$ ls\n`)).toEqual([['private key', `${head}${body}`]]);
  });

  test('is not what merely names one, nor what is public', () => {
    expect(found(`if (text.startsWith('-----BEGIN RSA PRIVATE KEY-----')) return 'rsa'; // to -----END RSA PRIVATE KEY-----`)).toEqual([]);
    expect(found(`-----BEGIN CERTIFICATE-----${PEM_BODY}-----END CERTIFICATE-----`)).toEqual([]);
    expect(found(`-----BEGIN PUBLIC KEY-----${PEM_BODY}-----END PUBLIC KEY-----`)).toEqual([]);
  });
});

describe('a place that is for secrets', () => {
  const secret = drawn(32);
  test.each<[string, string[]]>([
    [`Authorization: Bearer ${secret}`, ['authorization header', secret]],
    [`curl -H 'authorization: bearer ${secret}'`, ['authorization header', secret]],
    [`{"Authorization":"Basic dXNlcjpwYXNzd29yZA=="}`, ['authorization header', 'dXNlcjpwYXNzd29yZA==']],
    [`AUTHORIZATION="token ${secret}"`, ['authorization header', secret]],
    [`aws_secret_access_key = ${secret}ab/+Cd12`, ['AWS secret key', `${secret}ab/+Cd12`]],
    [`"SecretAccessKey": "${secret}ab/+Cd12"`, ['AWS secret key', `${secret}ab/+Cd12`]],
    [`export AWS_SECRET_ACCESS_KEY=${secret}ab/+Cd12`, ['AWS secret key', `${secret}ab/+Cd12`]],
    ['postgres://me:s3cr3t!@db:5432/x', ['password in a URL', 's3cr3t!']],
    ['https://:hunter2@host', ['password in a URL', 'hunter2']],
    ['GET /x?a=b&password=hunter2&c=d', ['password in a URL', 'hunter2']],
    ['https://h/x?Access_Token=hunter2', ['password in a URL', 'hunter2']],
  ])('%s', (text, expected) => {
    expect(found(text)).toEqual([expected]);
  });
});

describe('what is no secret', () => {
  test.each([
    createHash('sha1').update('x').digest('hex'),
    createHash('sha512').update('x').digest('hex'),
    'commit 64a02426a1f3c1d9b7e5a0f2c3d4e5f60718293a',
    '019e353a-a0fb-7ae0-a931-48a4aec65cd7',
    `sha512-${Buffer.from(drawn(64)).toString('base64')}`,
    'class="sk-fading-circle-with-a-long-name-1 sk-circle12"',
    'task-ant-hill-0123456789012345678901234567890123456789',
    'disk-proj-0123456789012345678901234567890123456789abcd',
    'npm_config_registry npm_lifecycle_event npm_package_dependencies_typescript_version',
    'hf_hub_download hf_transfer_is_available_here_or_not_at_all',
    'Authorization: Bearer YOUR_ACCESS_TOKEN_GOES_HERE',
    'Authorization: Bearer $TOKEN',
    'Authorization: Bearer <token>',
    'the authorization code',
    'https://user:password@host https://user:$PASSWORD@host https://<user>:<password>@host',
    'https://host:8080/a@b https://host/?password=<password> ?password=$X ?password=xxxx ?password=&a=b',
    'git@github.com:a/b.git ssh://git@github.com/a/b https://me@host/x',
    'aws_secret_access_key = your secret',
    `aws_secret_access_key = ${drawn(39)}`,
    `aws_secret_access_key = ${drawn(41)}`,
    `sk-${drawn(40)}-circle npm_${drawn(36)}_x`,
    `hf_${drawn(34, 'abcdefgh')}`,
    `eyJ${drawn(20)}.eyJ${drawn(20)}.${drawn(20)}`,
    `${base64url({ typ: 'x' })}.${base64url({ a: 1 })}.x`,
    '----------------------------------------',
    '',
  ])('%s', (text) => {
    expect(found(text)).toEqual([]);
  });

  test('pictures: 4 MiB of base64, in one line and in many', () => {
    const bytes = Buffer.alloc(3 << 20);
    for (let n = 0; n < bytes.length; n += 32) createHash('sha256').update(`${n}`).digest().copy(bytes, n);
    const image = bytes.toString('base64');
    expect(found(`<img src="data:image/png;base64,${image}">`)).toEqual([]);
    expect(found(image.replace(/.{76}/g, '$&\n'))).toEqual([]);
  });

  test('pictures that hold the letters of a prefix', () => {
    for (const before of ['a', '0', '_', '-']) expect(found(`${before}AKIA${'ABCDEFGH'.repeat(2)}=`)).toEqual([]);
  });
});

describe('hostile text', () => {
  /** A text that counts how often its characters are looked at. */
  function counted(text: string): { text: string; looks: () => number } {
    let looks = 0;
    const counting = {
      length: text.length,
      charCodeAt: (at: number) => {
        looks++;
        return text.charCodeAt(at);
      },
      charAt: (at: number) => {
        looks++;
        return text.charAt(at);
      },
      slice: (from: number, to: number) => {
        const part = text.slice(from, to);
        looks += part.length;
        return part;
      },
    };
    return { text: counting as unknown as string, looks: () => looks };
  }

  const MIB = 1 << 20;
  const fill = (unit: string) => unit.repeat(Math.ceil(MIB / unit.length)).slice(0, MIB);

  test.each([
    'a',
    'e',
    'sk-',
    'sk-ant-',
    'sk-proj-a1',
    'sk',
    'AKIA',
    'ghp_',
    'github_pat_',
    'xoxb-1a',
    '-',
    '-----',
    '-----BEGIN ',
    '-----BEGIN PRIVATE KEY-----',
    `-----BEGIN PRIVATE KEY-----${'a'.repeat(39)} `,
    `-----BEGIN PRIVATE KEY-----\n${'a b'.repeat(5000)}`,
    'eyJ',
    'eyJ.',
    'eyJ.eyJ.',
    '=eyJ',
    `${base64url({ typ: 1 })}.eyJ.`,
    'authorization: bearer ',
    'authorization:        ',
    'aws_secret_access_key=',
    'secretaccesskey=',
    '://',
    'a://',
    'a://b:',
    'a://b:$@',
    '?password=',
    '&password=$',
    '?pwd=<',
    ' ',
    '\n',
    '\u{1f511}',
  ])('a megabyte of %j is looked at a few times over', (unit) => {
    const { text, looks } = counted(fill(unit));
    secretsIn(text);
    expect(looks() / MIB).toBeLessThan(24);
  });

  test('a megabyte of secrets too', () => {
    const { text, looks } = counted(fill(`${TOKENS.map(([, token]) => token).join(' ')} `));
    expect(secretsIn(text).length).toBeGreaterThan(8000);
    expect(looks() / MIB).toBeLessThan(24);
  });
});

describe('redacting', () => {
  test('puts a note in the place of each secret and leaves the rest', () => {
    const [, aws] = TOKENS[0]!;
    expect(redact(`a ${aws} b\npostgres://me:hunter2@db\n${JWT}`)).toBe(
      'a [removed: AWS access key] b\npostgres://me:[removed: password in a URL]@db\n[removed: JSON web token]',
    );
  });

  test('changes nothing else, and what it leaves has none', () => {
    const plain = 'nothing here\r\n\x1b[31mred\x1b[m 019e353a-a0fb-7ae0-a931-48a4aec65cd7';
    expect(redact(plain)).toBe(plain);
    expect(found(redact(TOKENS.map(([, token]) => `k=${token}`).join('\n')))).toEqual([]);
  });
});
