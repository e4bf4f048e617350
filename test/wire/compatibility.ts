/** As much of JSON Schema as zod makes of our calls. */
export interface Schema {
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | boolean;
  propertyNames?: Schema;
  items?: Schema;
  pattern?: string;
  [limit: string]: unknown;
}

export type Protocol = Record<string, { params: Schema; result: Schema }>;

/** What a client that was made for `frozen` cannot do any more with a daemon of `now`, in sentences. More than it knew is no matter. */
export function incompatibilities(frozen: Protocol, now: Protocol): string[] {
  return Object.entries(frozen).flatMap(([name, { params, result }]) => {
    const call = now[name];
    if (!call) return [`The call "${name}" is gone.`];
    return [...refusals(params, call.params, `${name} param`), ...surprises(result, call.result, `${name} result`)];
  });
}

const LOWER = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties'];
const UPPER = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties'];

/** What was sent, and is not taken any more. */
function refusals(was: Schema, is: Schema, at: string): string[] {
  const [before, after] = [alternatives(was), alternatives(is)];
  if (before.length > 1 || after.length > 1) {
    return before.flatMap((one) => {
      const each = after.map((other) => refusals(one, other, at));
      return each.some((problems) => problems.length === 0) ? [] : [`${at} no longer takes ${show(one)}.`];
    });
  }
  if (!fits(was.type, is.type)) return [`${at} took ${show(was)} and takes ${show(is)}.`];
  const problems: string[] = [];
  const values = valuesOf(is);
  if (values) {
    const refused = valuesOf(was)?.filter((value) => !values.includes(value));
    if (!refused) problems.push(`${at} took any ${was.type} and takes only ${show(is)}.`);
    for (const value of refused ?? []) problems.push(`${at} no longer takes ${JSON.stringify(value)}.`);
  }
  for (const limit of LOWER)
    if (numberOr(is[limit], -Infinity) > numberOr(was[limit], -Infinity)) problems.push(tighter(at, limit, was, is));
  for (const limit of UPPER) if (numberOr(is[limit], Infinity) < numberOr(was[limit], Infinity)) problems.push(tighter(at, limit, was, is));
  if (is.pattern !== undefined && is.pattern !== was.pattern) problems.push(`${at} has another pattern: ${is.pattern}.`);
  for (const [name, schema] of Object.entries(was.properties ?? {})) {
    const other = is.properties?.[name];
    if (other) problems.push(...refusals(schema, other, `${at} "${name}"`));
    else problems.push(`${at} "${name}" is gone.`);
  }
  for (const name of is.required ?? []) if (!was.required?.includes(name)) problems.push(`${at} "${name}" has to be given now.`);
  for (const part of ['items', 'additionalProperties', 'propertyNames'] as const) {
    const [one, other] = [was[part], is[part]];
    if (typeof other === 'object') problems.push(...refusals(typeof one === 'object' ? one : {}, other, `${at} ${part}`));
  }
  return problems;
}

/** What was always in an answer, and is not any more, or is of another kind. A new word in a list of words is news, and no surprise. */
function surprises(was: Schema, is: Schema, at: string): string[] {
  const [before, after] = [alternatives(was), alternatives(is)];
  if (before.length > 1 || after.length > 1) {
    return after.flatMap((one) => {
      const each = before.map((other) => surprises(other, one, at));
      return each.some((problems) => problems.length === 0) ? [] : [`${at} may be ${show(one)} now.`];
    });
  }
  if (!fits(is.type, was.type)) return [`${at} was ${show(was)} and is ${show(is)}.`];
  const problems: string[] = [];
  for (const [name, schema] of Object.entries(was.properties ?? {})) {
    const other = is.properties?.[name];
    if (!other) problems.push(`${at} "${name}" is gone.`);
    else if (was.required?.includes(name) && !is.required?.includes(name)) problems.push(`${at} "${name}" may be missing now.`);
    else problems.push(...surprises(schema, other, `${at} "${name}"`));
  }
  for (const part of ['items', 'additionalProperties'] as const) {
    const [one, other] = [was[part], is[part]];
    if (typeof one === 'object') problems.push(...surprises(one, typeof other === 'object' ? other : {}, `${at} ${part}`));
  }
  return problems;
}

function alternatives(schema: Schema): Schema[] {
  if (schema.anyOf) return schema.anyOf.flatMap(alternatives);
  const { type } = schema;
  return Array.isArray(type) ? type.map((one) => ({ ...schema, type: one })) : [schema];
}

function valuesOf(schema: Schema): unknown[] | undefined {
  return 'const' in schema ? [schema.const] : schema.enum;
}

/** Whether all of the one kind is of the other. No kind is every kind. */
function fits(one: Schema['type'], other: Schema['type']): boolean {
  return other === undefined || one === other || (one === 'integer' && other === 'number');
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise;
}

function tighter(at: string, limit: string, was: Schema, is: Schema): string {
  return `${at} has a ${limit} of ${is[limit]}, and had ${was[limit] ?? 'none'}.`;
}

function show(schema: Schema): string {
  const values = valuesOf(schema);
  return values ? values.map((value) => JSON.stringify(value)).join(' or ') : String(schema.type ?? 'anything');
}
