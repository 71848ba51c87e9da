/**
 * Instrument: turns a source file into one whose functions a scheduler can stop before every access to
 * shared bytes.
 *
 *     i32[index] = word          (index, i32.$s !== undefined && $.store(i32, index, site) && (yield), i32[index] = word)
 *     atomicLoad(i32, index)     ($.atomic(i32, index, site) && (yield), atomicLoad(i32, index))
 *     lock.acquire()             (($0 = lock.acquire()) instanceof $.Fiber ? yield* $0 : $0)
 *
 * `$s` is set on views over shared bytes when they are made; a store to a private array is no point. `$.store`
 * answers whether another thread is to go on here: only then is the generator left, so that a schedule costs
 * what its switches cost.
 *
 * A function becomes a generator when it reaches an access, by the names of what it calls: `names` is the
 * fixpoint over all files. What JavaScript calls itself cannot: constructors, getters, callbacks of array
 * methods. These run in one step ("sync"): what they call is driven to its end; the point lies before a
 * getter that reads shared bytes. Generators of the source become functions that collect what they yield. An
 * async function becomes a generator too, and `await` nothing: one task, which sleeps where it would wait.
 */

import { type ParserOptions, parse } from '@babel/parser';

/** A node of the syntax tree, as far as it matters here. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly loc: { readonly start: { readonly line: number } };
  // biome-ignore lint/suspicious/noExplicitAny: a node of any type
  readonly [key: string]: any;
}

/** Where an access stands, for traces and races. */
export interface Site {
  readonly file: string;
  readonly line: number;
  /** Such as `Lock.release`. */
  readonly name: string;
  readonly text: string;
}

/** The functions of src/memory/atomics.ts: an operation on one word each. */
const ATOMIC = new Set(
  ['Load', 'Store', 'Exchange', 'Add', 'Sub', 'And', 'Or']
    .flatMap((name) => [`atomic${name}`, `big${name}`])
    .concat('compareExchange', 'bigCompareExchange', 'notify', 'wait', 'waitAsync', 'waitAbortable'),
);
/** Those that a thread may sleep in. An async function is a task of its own, so it sleeps in both alike. */
const WAITS = new Set(['wait', 'waitAsync', 'waitAbortable']);
const STORING = /Store|Exchange|Add|Sub|And|Or/;
/** Methods of typed arrays that touch many elements. */
const BULK = new Set(['fill', 'copyWithin', 'set', 'slice']);
/** Methods that call their argument at once and cannot be left in between. */
const NATIVE =
  /^(forEach|map|filter|some|every|find|findIndex|findLast|reduce|flatMap|sort|from|replace|then|catch|finally|addEventListener|Promise|onExit|setTimeout|setInterval|FinalizationRegistry|Proxy|defineProperty|defineProperties|refusing)$/;
/** Those of arrays that the runtime has in a form that can be left. */
const OF_ARRAYS = /^(forEach|map|filter|some|every|find|flatMap)$/;
/** Methods that the language or the console calls. */
const CALLED_BY_OTHERS = new Set(['toJSON', 'toString', 'valueOf', 'get', 'set', 'has', 'next', 'return']);

/** Names that are plain fields too often. */
const NOT_GETTERS = [
  ...['length', 'value', 'address', 'kind', 'first', 'end', 'held', 'owner', 'total', 'block', 'words'],
  ...['capacity', 'parties', 'element'],
];

const PARSER: ParserOptions = {
  sourceType: 'module',
  plugins: ['typescript', 'explicitResourceManagement'],
};

/** Parses a file. */
export function parseFile(text: string): Node {
  return parse(text, PARSER).program as unknown as Node;
}

const SKIPPED = new Set([
  'type',
  'start',
  'end',
  'loc',
  'extra',
  'range',
  'leadingComments',
  'trailingComments',
]);

function childrenOf(node: Node): Node[] {
  const found: Node[] = [];
  for (const key of Object.keys(node)) {
    if (SKIPPED.has(key) || key === 'innerComments') continue;
    const value = node[key];
    for (const child of Array.isArray(value) ? value : [value]) {
      if (child !== null && typeof child === 'object' && typeof child.type === 'string') found.push(child);
    }
  }
  return found.sort((a, b) => a.start - b.start);
}

function isFunction({ type }: Node): boolean {
  return /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression|ClassMethod|ClassPrivateMethod|ObjectMethod)$/.test(
    type,
  );
}

function unwrapped(node: Node): Node {
  return /^(TSNonNullExpression|TSAsExpression|TSSatisfiesExpression|ParenthesizedExpression)$/.test(
    node.type,
  )
    ? unwrapped(node.expression)
    : node;
}

/** The name that a key, a callee or a property goes by; private ones without their `#`. */
function nameOf(node: Node | null | undefined): string {
  if (node === null || node === undefined) return '';
  if (node.type === 'Identifier') return node.name;
  if (node.type === 'PrivateName') return node.id.name;
  if (/MemberExpression$/.test(node.type)) return node.computed ? '' : nameOf(node.property);
  if (/^TS/.test(node.type)) return nameOf(unwrapped(node));
  return '';
}

function isCall({ type }: Node): boolean {
  return type === 'CallExpression' || type === 'OptionalCallExpression';
}

/** `a[i]` that may lie in shared bytes. Tables of constants have names in capitals. */
function isElement(node: Node): boolean {
  if (node.type !== 'MemberExpression' || !node.computed) return false;
  if (/^(StringLiteral|TemplateLiteral)$/.test(node.property.type)) return false;
  const property = unwrapped(node.property);
  if (property.type === 'MemberExpression' && nameOf(property.object) === 'Symbol') return false;
  const object = unwrapped(node.object);
  return !/^[A-Z][A-Z_0-9]+$/.test(nameOf(object)) || object.type !== 'Identifier';
}

/** Whether the function is what a method of an array calls for each element. */
function isArrayCallback(node: Node, parent: Node | undefined): boolean {
  if (parent === undefined || !isCall(parent) || parent.arguments[0] !== node) return false;
  return parent.callee.type === 'MemberExpression' && OF_ARRAYS.test(nameOf(parent.callee));
}

/** Whether the function can become a generator, given the call that it is an argument of. */
function isExplorable(node: Node, parents: readonly Node[]): boolean {
  if (node.async === true && node.generator === true) return false;
  const parent = parents.at(-1);
  if (/Method$/.test(node.type)) {
    if (node.kind === 'constructor' || node.kind === 'get' || node.kind === 'set') return false;
    if (node.computed === true) return false;
    const isObject = node.type === 'ObjectMethod';
    if (CALLED_BY_OTHERS.has(nameOf(node.key)) && (isObject || /^to/.test(nameOf(node.key)))) return false;
    return true;
  }
  if (parent !== undefined && (isCall(parent) || parent.type === 'NewExpression')) {
    if (parent.callee === node || isArrayCallback(node, parent)) return true;
    if (NATIVE.test(nameOf(parent.callee))) return false;
  }
  return true;
}

/** The names by which a function can be called. */
function namesOf(node: Node, parent: Node | undefined): string {
  if (node.id) return nameOf(node.id);
  if (node.key) return nameOf(node.key);
  if (parent?.type === 'VariableDeclarator') return nameOf(parent.id);
  if (parent?.type === 'AssignmentExpression') return nameOf(parent.left);
  if (parent?.key && parent.value === node) return nameOf(parent.key);
  return '';
}

/** A site's number: the file's, then so many bits for its own. */
export const SITE_BITS = 12;

/** What is known of all files before any is rewritten. */
export interface Names {
  /** Functions that reach an access to shared bytes. */
  readonly explored: ReadonlySet<string>;
  /** Getters that do. */
  readonly getters: ReadonlySet<string>;
  /** The same functions and getters, and those without a name. */
  readonly reaching: ReadonlySet<Node>;
}

interface Callable {
  readonly node: Node;
  readonly name: string;
  readonly calls: Set<string>;
  /** Properties that it reads. */
  readonly reads: Set<string>;
  readonly isGetter: boolean;
  readonly canStop: boolean;
  reaches: boolean;
}

/** Finds the names of all functions and getters that reach an access, over all files. */
export function namesIn(files: readonly Node[]): Names {
  const callables: Callable[] = [];
  const visit = (node: Node, parents: Node[], inside: Callable | undefined, locals: Set<string>): void => {
    let here = inside;
    let known = locals;
    if (isFunction(node)) {
      const canStop = isExplorable(node, parents);
      // A callback of an array method belongs to who calls that.
      if (canStop || inside === undefined || node.kind !== undefined) {
        const isCallback = isArrayCallback(node, parents.at(-1));
        const name = isCallback ? `callback ${callables.length}` : namesOf(node, parents.at(-1));
        if (isCallback) inside?.calls.add(name);
        here = {
          node,
          name,
          calls: new Set(),
          reads: new Set(),
          isGetter: node.kind === 'get',
          canStop,
          reaches: false,
        };
        callables.push(here);
      }
      known = new Set([...locals, ...node.params.map((param: Node) => paramName(param))]);
    }
    if (here !== undefined) {
      if (isElement(node)) here.reaches = true;
      if (node.type === 'MemberExpression' && !node.computed) here.reads.add(nameOf(node));
      if (isCall(node)) {
        const name = nameOf(node.callee);
        if (ATOMIC.has(name) || BULK.has(name) || name === 'pause') here.reaches = true;
        else if (node.callee.type === 'Identifier' && known.has(name)) here.reaches = true;
        else here.calls.add(name);
      }
    }
    for (const child of childrenOf(node)) visit(child, [...parents, node], here, known);
  };
  for (const file of files) visit(file, [], undefined, new Set());
  const explored = new Set<string>();
  const getters = new Set<string>();
  for (let size = -1; size !== explored.size + getters.size; ) {
    size = explored.size + getters.size;
    for (const callable of callables) {
      const { name, calls, reads, isGetter, canStop } = callable;
      callable.reaches ||=
        [...calls].some((one) => explored.has(one)) || [...reads].some((one) => getters.has(one));
      if (!callable.reaches || name === '') continue;
      if (canStop) explored.add(name);
      else if (isGetter && !NOT_GETTERS.includes(name)) getters.add(name);
    }
  }
  const reaching = new Set(callables.filter((one) => one.reaches).map((one) => one.node));
  return { explored, getters, reaching };
}

function paramName(param: Node): string {
  if (param.type === 'AssignmentPattern') return paramName(param.left);
  if (param.type === 'TSParameterProperty') return paramName(param.parameter);
  return nameOf(param);
}

// Rewriting ------------------------------------------------------------------------------------------

/** How the code at hand may be left: at any point, never, or it is not looked at (async generators). */
type Mode = 'explored' | 'sync' | 'native';

interface Frame {
  readonly mode: Mode;
  /** Functions of the source that yield values collect them. */
  readonly collects: boolean;
  /** Temporaries in use, and the most at once. */
  depth: number;
  most: number;
  readonly params: ReadonlySet<string>;
}

/** Rewrites one file. */
export class Instrument {
  private frame: Frame = { mode: 'sync', collects: false, depth: 0, most: 0, params: new Set() };
  private readonly path: string;
  private readonly text: string;
  private readonly names: Names;
  /** Where the accesses of this file stand, once it is rewritten. */
  readonly sites: Site[] = [];
  private readonly base: number;
  private readonly rename: (specifier: string) => string;
  private readonly parents: Node[] = [];
  private readonly scope: string[] = [];

  /**
   * @param base what the numbers of this file's sites begin with
   * @param rename gives the module that an import is to lead to
   */
  constructor(path: string, text: string, names: Names, base: number, rename: (specifier: string) => string) {
    this.path = path;
    this.text = text;
    this.names = names;
    this.base = base;
    this.rename = rename;
  }

  rewrite(program: Node): string {
    return `import * as $ from '${this.rename('$runtime')}';\n${this.render(program)}`;
  }

  private render(node: Node): string {
    this.parents.push(node);
    const named = /^Class(Declaration|Expression)$/.test(node.type) && node.id ? nameOf(node.id) : '';
    if (named !== '') this.scope.push(named);
    const text = this.form(node);
    if (named !== '') this.scope.pop();
    this.parents.pop();
    return text;
  }

  private form(node: Node): string {
    if (/^TS(TypeAnnotation|Interface|TypeAlias|Declare|TypeParameter)/.test(node.type))
      return this.source(node);
    if (/^(Import|Export(Named|All))Declaration$/.test(node.type)) return this.moduleForm(node);
    if (isFunction(node)) return this.functionForm(node);
    // Outside of functions there is nothing to hold temporaries.
    if (node.type === 'ClassProperty' || node.type === 'ClassPrivateProperty') {
      return this.within({ mode: 'sync' }, () => this.copy(node));
    }
    if (this.frame.mode === 'native') return this.copy(node);
    switch (node.type) {
      case 'MemberExpression':
        return this.memberForm(node);
      case 'AssignmentExpression':
        return isElement(unwrapped(node.left)) ? this.assignmentForm(node) : this.copy(node);
      case 'UpdateExpression':
        return isElement(unwrapped(node.argument)) ? this.updateForm(node) : this.copy(node);
      case 'CallExpression':
      case 'OptionalCallExpression':
        return this.callForm(node);
      case 'NewExpression':
        return /Array$|^View$|^$/.test(nameOf(node.callee)) ? `$.mark(${this.copy(node)})` : this.copy(node);
      case 'AwaitExpression':
        // What is awaited has been driven to its end.
        return this.frame.mode === 'explored' ? `(${this.render(node.argument)})` : this.copy(node);
      case 'YieldExpression':
        return this.frame.collects ? this.collectForm(node) : this.copy(node);
      case 'ReturnStatement':
        return this.frame.collects ? 'return $out[Symbol.iterator]();' : this.copy(node);
      default:
        return this.copy(node);
    }
  }

  private source(node: Node): string {
    return this.text.slice(node.start, node.end);
  }

  /** The node's source with its children rewritten. */
  private copy(node: Node, replaced?: ReadonlyMap<Node, string>): string {
    let text = '';
    let at = node.start;
    for (const child of childrenOf(node)) {
      if (child.start < at) continue;
      text += this.text.slice(at, child.start) + (replaced?.get(child) ?? this.render(child));
      at = child.end;
    }
    return text + this.text.slice(at, node.end);
  }

  private within<R>(change: Partial<Frame>, work: () => R): R {
    const outer = this.frame;
    this.frame = { ...outer, depth: 0, most: 0, collects: false, ...change };
    try {
      return work();
    } finally {
      this.frame = outer;
    }
  }

  /** Names of temporaries while `work` runs. */
  private temporaries(count: number, work: (...names: string[]) => string): string {
    const { frame } = this;
    const first = frame.depth;
    frame.depth += count;
    frame.most = Math.max(frame.most, frame.depth);
    const text = work(...Array.from({ length: count }, (_, i) => `$${first + i}`));
    frame.depth = first;
    return text;
  }

  private site(node: Node): number {
    const text = this.source(node).replace(/\s+/g, ' ');
    const name = this.scope.join('.');
    this.sites.push({ file: this.path, line: node.loc.start.line, name, text: text.slice(0, 70) });
    return this.base + this.sites.length - 1;
  }

  // ── Modules and functions ───────────────────────────────────────────────────────────────────────

  private moduleForm(node: Node): string {
    if (!node.source) return this.copy(node);
    return this.copy(node, new Map([[node.source, `'${this.rename(node.source.value)}'`]]));
  }

  private functionForm(node: Node): string {
    if (node.type !== 'ArrowFunctionExpression' && !node.body) return this.source(node);
    const parents = this.parents.slice(0, -1);
    const name = namesOf(node, parents.at(-1));
    const canStop = isExplorable(node, parents) && this.frame.mode !== 'native';
    const inStep = isArrayCallback(node, parents.at(-1)) && this.frame.mode === 'sync';
    const stops = this.names.reaching.has(node) && canStop && !inStep;
    const mode = stops ? 'explored' : node.async ? 'native' : 'sync';
    const collects = node.generator === true && mode !== 'native';
    const params = new Set([...this.frame.params, ...node.params.map((param: Node) => paramName(param))]);
    if (name !== '') this.scope.push(name);
    const head = this.within({ mode: 'sync', params }, () => this.headOf(node, stops, collects));
    const text = this.within({ mode, collects, params }, () => head(this.bodyOf(node)));
    if (name !== '') this.scope.pop();
    return text;
  }

  /** All but the body; as a generator where it stops. */
  private headOf(node: Node, stops: boolean, collects: boolean): (body: string) => string {
    const replaced = new Map<Node, string>([[node.body, '']]);
    if (node.type === 'ArrowFunctionExpression') {
      if (!stops) {
        const head = this.copy(node, replaced).replace(/=>\s*\(?\s*\)?\s*$/, '=>');
        return (body) => `${head} ${body}`;
      }
      const params = node.params.map((param: Node) => this.render(param)).join(', ');
      return (body) => `(function* (${params}) ${body}).bind(this)`;
    }
    if (stops && !node.generator && node.key) replaced.set(node.key, `*${this.source(node.key)}`);
    let head = this.copy(node, replaced);
    if (stops && !node.generator && !node.key) head = head.replace(/function\b/, 'function*');
    if (stops && node.async) head = head.replace(/\basync\s+/, '');
    if (collects && !stops) head = head.replace('*', '');
    return (body) => `${head}${body}`;
  }

  private bodyOf(node: Node): string {
    const isBlock = node.body.type === 'BlockStatement';
    let body = this.render(node.body);
    const { most, collects, mode } = this.frame;
    if (mode === 'native') return isBlock ? body : `(${body})`;
    if (!isBlock) body = `{ return (${body}); }`;
    const temporaries =
      most === 0 ? '' : `let ${Array.from({ length: most }, (_, i) => `$${i}`).join(', ')};`;
    if (temporaries === '' && !collects) return body;
    const open = `{ ${temporaries}${collects ? ' const $out = [];' : ''}`;
    const close = collects ? ' return $out[Symbol.iterator](); }' : '}';
    return `${open}${body.slice(1, -1)}${close}`;
  }

  private collectForm(node: Node): string {
    const value = node.argument ? this.render(node.argument) : 'undefined';
    return node.delegate ? `$out.push(...(${value}))` : `$out.push(${value})`;
  }

  // ── Accesses ────────────────────────────────────────────────────────────────────────────────────

  private memberForm(node: Node): string {
    if (isElement(node)) return this.loadForm(node);
    const parent = this.parents.at(-2)!;
    const isTarget = parent.left === node || parent.type === 'UpdateExpression';
    const isCallee = isCall(parent) && parent.callee === node;
    const isGetter = !node.computed && this.names.getters.has(nameOf(node));
    if (!isGetter || isTarget || isCallee || this.frame.mode !== 'explored') return this.copy(node);
    return `($.getter(${this.site(node)}) && (yield), ${this.copy(node)})`;
  }

  private loadForm(node: Node): string {
    if (this.frame.mode === 'sync') {
      return `$.get(${this.render(node.object)}, ${this.render(node.property)}, ${this.site(node)})`;
    }
    const site = this.site(node);
    return this.element(node, (setup, view, index) => {
      return `(${setup}${view}.$s !== undefined && $.load(${view}, ${index}, ${site}) && (yield), ${view}[${index}])`;
    });
  }

  /** Evaluates object and index of an element once, in that order. */
  private element(node: Node, use: (setup: string, view: string, index: string) => string): string {
    const simple = (part: Node): boolean => /^(Identifier|NumericLiteral|ThisExpression)$/.test(part.type);
    const object = unwrapped(node.object);
    const property = unwrapped(node.property);
    return this.temporaries(2, (view, index) => {
      const text = this.render(node.object);
      const indexText = this.render(node.property);
      const setView = simple(object) ? '' : `${view} = (${text}), `;
      const setIndex = simple(property) ? '' : `${index} = (${indexText}), `;
      return use(
        setView + setIndex,
        simple(object) ? this.source(object) : view!,
        simple(property) ? this.source(property) : index!,
      );
    });
  }

  private assignmentForm(node: Node): string {
    const target = unwrapped(node.left);
    const site = this.site(node);
    const operator = node.operator.slice(0, -1) as string;
    if (this.frame.mode === 'sync') {
      const parts = `${this.render(target.object)}, ${this.render(target.property)}`;
      const value = this.render(node.right);
      if (operator === '') return `$.put(${parts}, (${value}), ${site})`;
      return `$.change(${parts}, ${site}, ($was) => $was ${operator} (${value}))`;
    }
    return this.element(target, (setup, view, index) =>
      this.temporaries(2, (was, value) => {
        const read = `${view}.$s !== undefined && $.load(${view}, ${index}, ${site}) && (yield), ${was} = ${view}[${index}], `;
        const write = `${view}.$s !== undefined && $.store(${view}, ${index}, ${site}) && (yield), ${view}[${index}] = ${value}`;
        const right = `(${this.render(node.right)})`;
        if (operator === '') return `(${setup}${value} = ${right}, ${write})`;
        if (/^(\?\?|\|\||&&)$/.test(operator))
          return `(${setup}${read}${was} ${operator} (${value} = ${right}, ${write}))`;
        return `(${setup}${read}${value} = ${was} ${operator} ${right}, ${write})`;
      }),
    );
  }

  private updateForm(node: Node): string {
    const target = unwrapped(node.argument);
    const site = this.site(node);
    const sign = node.operator[0];
    if (this.frame.mode === 'sync') {
      const parts = `${this.render(target.object)}, ${this.render(target.property)}`;
      return `$.change(${parts}, ${site}, ($was) => $was ${sign} 1)`;
    }
    return this.element(target, (setup, view, index) =>
      this.temporaries(1, (was) => {
        const read = `${view}.$s !== undefined && $.load(${view}, ${index}, ${site}) && (yield), ${was} = ${view}[${index}], `;
        const write = `${view}.$s !== undefined && $.store(${view}, ${index}, ${site}) && (yield), ${view}[${index}] = ${was} ${sign} 1`;
        return node.prefix ? `(${setup}${read}${write})` : `(${setup}${read}${write}, ${was})`;
      }),
    );
  }

  // ── Calls ───────────────────────────────────────────────────────────────────────────────────────

  private callForm(node: Node): string {
    const name = nameOf(node.callee);
    const isName = node.callee.type === 'Identifier';
    if (isName && ATOMIC.has(name)) return this.atomicForm(node, name);
    if (isName && name === 'pause') {
      return this.frame.mode === 'explored' ? '($.pause() && (yield))' : '$.pause()';
    }
    if (nameOf(node.callee.object) === 'performance' && name === 'now') return '$.now()';
    if (BULK.has(name) && node.callee.type === 'MemberExpression') return this.bulkForm(node, name);
    const callback = node.arguments[0];
    if (
      callback &&
      this.frame.mode === 'explored' &&
      isArrayCallback(callback, node) &&
      isFunction(callback) &&
      this.names.reaching.has(callback)
    ) {
      return `(yield* $.each(${this.render(node.callee.object)}, '${name}', ${this.render(callback)}))`;
    }
    const isParam = isName && this.frame.params.has(name);
    if (!isParam && !this.names.explored.has(name)) return this.copy(node);
    if (this.frame.mode === 'sync') return `$.drive(${this.copy(node)})`;
    const parent = this.parents.at(-2)!;
    if (node.type === 'OptionalCallExpression' && (parent.object === node || parent.callee === node)) {
      throw new Error(`${this.path}:${node.loc.start.line}: a chain goes on behind a call that may be left`);
    }
    return this.driven(this.copy(node));
  }

  private driven(call: string): string {
    return this.temporaries(
      1,
      (made) => `((${made} = ${call}) instanceof $.Fiber ? yield* ${made} : ${made})`,
    );
  }

  private atomicForm(node: Node, name: string): string {
    const site = this.site(node);
    const kind =
      WAITS.has(name) || name === 'notify' ? 'sync' : STORING.test(name) ? 'atomicStore' : 'atomicLoad';
    if (this.frame.mode === 'sync') {
      const call = this.copy(node);
      return WAITS.has(name) ? `$.drive(${call})` : call;
    }
    const args: Node[] = node.arguments;
    return this.temporaries(args.length, (...names) => {
      const texts = args.map((arg) => this.render(arg));
      const setup = texts.map((text, i) => `${names[i]} = (${text}), `).join('');
      const call = `${name}(${names.join(', ')})`;
      const point = `$.${kind}(${names[0]}, ${names[1]}, ${site}) && (yield)`;
      return `(${setup}${point}, ${WAITS.has(name) ? `yield* ${call}` : call})`;
    });
  }

  private bulkForm(node: Node, name: string): string {
    const site = this.site(node);
    const args = node.arguments.map((arg: Node) => this.render(arg));
    if (this.frame.mode === 'sync') {
      return `$.drive($.bulkNow(${this.render(node.callee.object)}, '${name}', ${site}, [${args.join(', ')}]))`;
    }
    return this.temporaries(3, (view, list, made) => {
      const setup = `${view} = (${this.render(node.callee.object)}), ${list} = [${args.join(', ')}], `;
      const point = `${view}.$s !== undefined && $.bulk(${view}, '${name}', ${list}, ${site}) && (yield), `;
      return `(${setup}${point}(${made} = ${view}.${name}(...${list})) instanceof $.Fiber ? yield* ${made} : ${made})`;
    });
  }
}
