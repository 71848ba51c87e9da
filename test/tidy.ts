/**
 * The repository's style as functions from sources to complaints; `tidy.test.ts` runs each over the
 * repository and over snippets that it has to complain about.
 *
 * They read syntax trees, not text: comments may name what code may not.
 */

import { posix } from 'node:path';
import { parse } from '@babel/parser';

export interface Source {
  /** From the repository's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly nodes: readonly SyntaxNode[];
}

export interface Import {
  readonly specifier: string;
  /** The file meant, where it is one of the repository's: 'src/memory/address.ts'. */
  readonly target: string | undefined;
  readonly typeOnly: boolean;
  readonly line: number;
}

/** Answers with one line for each fault: 'path:line: what is wrong and what is wanted'. */
export type Check = (sources: readonly Source[]) => string[];

interface SyntaxNode {
  readonly type: string;
  readonly loc: { readonly start: { readonly line: number }; readonly end: { readonly line: number } };
  readonly parent: SyntaxNode | undefined;
  readonly [key: string]: unknown;
}

export function parseSource(path: string, text: string): Source {
  const file = parse(text, { sourceType: 'module', plugins: ['typescript', 'explicitResourceManagement'] });
  const nodes: SyntaxNode[] = [];
  collectNodes(file.program, undefined, nodes);
  return { path, text, nodes };
}

function collectNodes(value: unknown, parent: SyntaxNode | undefined, into: SyntaxNode[]): void {
  if (Array.isArray(value)) {
    for (const item of value) collectNodes(item, parent, into);
  } else if (typeof value === 'object' && value !== null && 'type' in value && 'loc' in value) {
    const node = { ...value, parent } as SyntaxNode;
    into.push(node);
    for (const [key, child] of Object.entries(value)) {
      if (!key.endsWith('Comments')) collectNodes(child, node, into);
    }
  }
}

/** Everything that a source imports or re-exports, `import()` in code and in types included. */
export function importsOf(source: Source): Import[] {
  const imports: Import[] = [];
  for (const node of source.nodes) {
    const specifier = specifierOf(node);
    if (specifier === undefined) continue;
    const typeOnly = node.importKind === 'type' || node.exportKind === 'type' || node.type === 'TSImportType';
    imports.push({ specifier, target: targetOf(source.path, specifier), typeOnly, line: lineOf(node) });
  }
  return imports;
}

function specifierOf(node: SyntaxNode): string | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
      return (node.source as { value: string } | null)?.value;
    case 'TSImportType':
      return (node.argument as { value: string }).value;
    case 'CallExpression': {
      const [argument] = node.arguments as [{ value?: string }?];
      return (node.callee as SyntaxNode).type === 'Import' ? (argument?.value ?? '<computed>') : undefined;
    }
    default:
      return undefined;
  }
}

function targetOf(path: string, specifier: string): string | undefined {
  if (specifier === '#platform') return 'src/platform/web.ts';
  if (!specifier.startsWith('.')) return undefined;
  return posix.join(posix.dirname(path), specifier);
}

function lineOf(node: SyntaxNode): number {
  return node.loc.start.line;
}

function isIn(source: Source, ...folders: string[]): boolean {
  return folders.some((folder) => source.path.startsWith(`${folder}/`));
}

// Layers ---------------------------------------------------------------------------------------------

/** Which folders of src a folder may import; errors.ts and platform are free to all. */
export const LAYERS: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  platform: [],
  memory: [],
  structs: ['memory'],
  sync: ['memory'],
  allocators: ['memory', 'sync'],
  heap: ['memory', 'structs', 'sync', 'allocators'],
  containers: ['memory', 'structs', 'sync'],
  channels: ['memory', 'structs', 'sync', 'containers'],
  threads: ['heap'],
  node: ['memory', 'heap'],
};
const FREE_TO_ALL = ['errors', 'platform'];
/** Containers are built on any allocator: they know the interface alone. */
const ALLOCATOR_INTERFACE = 'src/allocators/allocator.ts';
const BUILT_ON_ANY_ALLOCATOR = ['containers', 'channels'];
/** What the programs around the library may import: what its users can. */
const PUBLIC_FILES = ['src/index.ts', 'src/threads/piscina.ts', 'src/node/image-file.ts'];

/** 'memory' for src/memory/address.ts, 'errors' for src/errors.ts. */
function layerOf(path: string): string {
  return path.split('/')[1]!.replace(/\.ts$/, '');
}

/** The files right in src, but for errors.ts, are the package's entries. */
function isEntry(path: string): boolean {
  return /^src\/[^/]+\.ts$/.test(path) && path !== 'src/errors.ts';
}

export const importsFollowTheLayers: Check = (sources) =>
  sources
    .filter((source) => isIn(source, 'src'))
    .flatMap((source) =>
      importsOf(source)
        .filter((imported) => imported.target !== undefined && !mayImport(source.path, imported))
        .map(
          ({ line, target }) => `${source.path}:${line}: ${layerOf(source.path)} may not import ${target}`,
        ),
    );

function mayImport(path: string, { target, typeOnly }: Import): boolean {
  if (!target!.startsWith('src/')) return false;
  const from = layerOf(path);
  const to = layerOf(target!);
  if (isEntry(path) || from === to || FREE_TO_ALL.includes(to)) return true;
  if (BUILT_ON_ANY_ALLOCATOR.includes(from) && target === ALLOCATOR_INTERFACE) return typeOnly;
  return LAYERS[from]?.includes(to) ?? false;
}

export const foldersAreLayers: Check = (sources) =>
  sources
    .filter((source) => isIn(source, 'src') && !isEntry(source.path) && !(layerOf(source.path) in LAYERS))
    .map((source) => `${source.path}: src has no layer '${layerOf(source.path)}'`);

export const programsUseThePublicNames: Check = (sources) =>
  sources
    .filter((source) => isIn(source, 'workers', 'bench', 'examples'))
    .flatMap((source) =>
      importsOf(source)
        .filter(({ target }) => target?.startsWith('src/') && !PUBLIC_FILES.includes(target))
        .map(({ line, target }) => `${source.path}:${line}: import src/index.ts instead of ${target}`),
    );

export const noRuntimeDependencies: Check = (sources) =>
  sources
    .filter((source) => isIn(source, 'src'))
    .flatMap((source) =>
      importsOf(source)
        .filter(({ target, specifier }) => target === undefined && !mayDependOn(source, specifier))
        .map(({ line, specifier }) => `${source.path}:${line}: the library may not depend on '${specifier}'`),
    );

function mayDependOn(source: Source, specifier: string): boolean {
  return specifier.startsWith('node:') || (specifier === 'piscina' && isIn(source, 'src/threads'));
}

const NODE_GLOBALS = ['process', 'Buffer', 'setImmediate', 'require', '__dirname', '__filename'];

export const mainEntryRunsInBrowsers: Check = (sources) => {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const reached = new Set(['src/index.ts']);
  const complaints: string[] = [];
  for (const path of reached) {
    const source = byPath.get(path);
    if (source === undefined) continue;
    for (const { specifier, target, typeOnly, line } of importsOf(source)) {
      if (typeOnly) continue;
      if (target !== undefined) reached.add(target);
      else complaints.push(`${path}:${line}: browsers reach '${specifier}' from src/index.ts`);
    }
    for (const node of identifiers(source, NODE_GLOBALS)) {
      if (!isMemberName(node)) complaints.push(`${path}:${lineOf(node)}: browsers have no '${node.name}'`);
    }
  }
  return complaints;
};

export const relativeImportsEndInTs: Check = (sources) =>
  sources.flatMap((source) =>
    importsOf(source)
      .filter(({ specifier }) => specifier.startsWith('.') && !/\.ts$|\.json$/.test(specifier))
      .map(({ line, specifier }) => `${source.path}:${line}: '${specifier}' does not end in .ts`),
  );

// Words ----------------------------------------------------------------------------------------------

function identifiers(source: Source, names: readonly string[]): SyntaxNode[] {
  return source.nodes.filter(({ type, name }) => type === 'Identifier' && names.includes(name as string));
}

/** `process` in `x.process` and `{ process: 1 }`, which name no global. */
function isMemberName({ parent, loc }: SyntaxNode): boolean {
  const name = (parent?.property ?? parent?.key) as SyntaxNode | undefined;
  return name?.loc === loc && parent?.computed !== true && parent?.shorthand !== true;
}

export const onlyTheSeamNamesAtomics: Check = (sources) =>
  sources
    .filter((source) => isIn(source, 'src', 'workers', 'bench', 'examples'))
    .filter((source) => source.path !== 'src/memory/atomics.ts')
    .flatMap((source) =>
      source.nodes
        .filter(({ type, name, value }) =>
          type === 'Identifier' ? name === 'Atomics' : type === 'StringLiteral' && value === 'Atomics',
        )
        .map((node) => `${source.path}:${lineOf(node)}: only src/memory/atomics.ts names Atomics`),
    );

const FORBIDDEN: Readonly<Record<string, string>> = {
  DataView: 'tears shared words',
  eval: 'is refused by content security policies',
  Function: 'is refused by content security policies',
};

export const noForbiddenNames: Check = (sources) =>
  sources
    .filter((source) => isIn(source, 'src', 'workers'))
    .flatMap((source) =>
      identifiers(source, Object.keys(FORBIDDEN))
        .filter((node) => !isMemberName(node))
        .map((node) => `${source.path}:${lineOf(node)}: ${node.name} ${FORBIDDEN[node.name as string]}`),
    );

/** `address >> 2` is negative from 2 GiB on. A comment 'Signed: why' in the line or above it allows one. */
export const addressesShiftUnsigned: Check = (sources) =>
  sources
    .filter((source) => isIn(source, 'src'))
    .flatMap((source) => {
      const lines = source.text.split('\n');
      return source.nodes
        .filter(({ operator }) => operator === '>>' || operator === '>>=')
        .map((node) => lineOf(node))
        .filter((line) => !/\bSigned: /.test(`${lines[line - 2] ?? ''}\n${lines[line - 1]}`))
        .map((line) => `${source.path}:${line}: shift with >>> (or say why: '// Signed: …')`);
    });

// Files ----------------------------------------------------------------------------------------------

const VAGUE_NAMES = /^(utils?|helpers?|common|types?|constants?)$/;
const MAX_FILE_LINES = 600;
const MAX_HEADER_LINES = 30;
const MAX_FUNCTION_LINES = 70;

export const filesSayWhatTheyAre: Check = (sources) =>
  sources
    .filter(({ path }) => VAGUE_NAMES.test(posix.basename(path).replace(/\..*$/, '')))
    .map(({ path }) => `${path}: name the file after what it holds`);

export const noFolderBarrels: Check = (sources) =>
  sources
    .filter(({ path }) => /^src\/.+\/index\.ts$/.test(path))
    .map(({ path }) => `${path}: no barrels: import the file that is meant`);

export const filesAreShort: Check = (sources) =>
  sources
    .map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > MAX_FILE_LINES)
    .map(({ path, lines }) => `${path}: ${lines} lines, at most ${MAX_FILE_LINES}`);

export const filesOpenWithAComment: Check = (sources) =>
  sources
    .filter((source) => isIn(source, 'src'))
    .flatMap(({ path, text }) => {
      const header = /^(\/\*[\s\S]*?\*\/|(\/\/.*\n?)+)/.exec(text)?.[0].trimEnd();
      if (header === undefined) return [`${path}:1: open with a comment that says what the file is`];
      const lines = header.split('\n').length;
      return lines > MAX_HEADER_LINES
        ? [`${path}:1: the opening comment has ${lines} lines, at most ${MAX_HEADER_LINES}`]
        : [];
    });

/** Tests are left out: a `describe` is a table of tests, not a function to follow. */
export const functionsAreShort: Check = (sources) =>
  sources
    .filter((source) => !isIn(source, 'test'))
    .flatMap((source) =>
      source.nodes
        .filter(({ type, body }) => /Function|Method/.test(type) && typeof body === 'object' && body !== null)
        .map((node) => ({ line: lineOf(node), lines: node.loc.end.line - lineOf(node) + 1 }))
        .filter(({ lines }) => lines > MAX_FUNCTION_LINES)
        .map(
          ({ line, lines }) =>
            `${source.path}:${line}: a function of ${lines} lines, at most ${MAX_FUNCTION_LINES}`,
        ),
    );
