import { globSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import ts from "typescript";

// An index of the services' sources by name: it finds the functions that a piece of code can reach. It
// reads only the syntax, so it is fast. A method is found by its name within a service.

const root = join(import.meta.dirname, "../..");

/** A piece of code and its file. */
export interface Place {
  file: string;
  node: ts.Node;
}

const isTest = (file: string): boolean => /(\.test\.ts$|(^|\/)testing)/.test(file);

/** The file and the name that an import refers to. Undefined for a package or another room. */
function importedFrom(file: string, specifier: ts.ImportSpecifier) {
  const { text } = specifier.parent.parent.parent.moduleSpecifier as ts.StringLiteral;
  if (!text.startsWith(".")) return undefined;
  const name = (specifier.propertyName ?? specifier.name).text;
  return { file: normalize(join(dirname(file), text)), name };
}

/** The name of a nested function or of an object's method, for calls such as `worker.run()`. */
function memberName(node: ts.Node): string | undefined {
  if (ts.isSourceFile(node.parent ?? node)) return undefined;
  const isMember =
    ts.isMethodDeclaration(node) ||
    ts.isFunctionDeclaration(node) ||
    (ts.isPropertyAssignment(node) && ts.isFunctionLike(node.initializer)) ||
    (ts.isVariableDeclaration(node) && node.initializer && ts.isFunctionLike(node.initializer));
  if (!isMember || !node.name || !ts.isIdentifier(node.name)) return undefined;
  return node.name.text;
}

/** The sources that match a pattern, without tests. */
export class SourceIndex {
  readonly files = new Map<string, ts.SourceFile>();
  readonly #checker: ts.TypeChecker;
  readonly #members = new Map<string, Place[]>();

  constructor(pattern: string) {
    const files = globSync(pattern, { cwd: root }).filter((file) => !isTest(file));
    const options = { noLib: true, noResolve: true, types: [], target: ts.ScriptTarget.Latest };
    const program = ts.createProgram(
      files.sort().map((file) => join(root, file)),
      options,
    );
    this.#checker = program.getTypeChecker();
    for (const file of files) {
      const tree = program.getSourceFile(join(root, file));
      if (!tree) throw new Error(`${file} cannot be read`);
      this.files.set(file, tree);
      this.#addMembers(file, tree);
    }
  }

  #addMembers(file: string, node: ts.Node): void {
    const name = memberName(node);
    if (name) this.#members.set(name, [...(this.#members.get(name) ?? []), { file, node }]);
    ts.forEachChild(node, (child) => this.#addMembers(file, child));
  }

  /** The top-level statement that contains a node, and the name that it defines. */
  around(file: string, node: ts.Node): (Place & { name: string }) | undefined {
    for (const statement of this.files.get(file)?.statements ?? []) {
      if (statement.pos > node.pos || node.end > statement.end) continue;
      const named = ts.isVariableStatement(statement)
        ? statement.declarationList.declarations[0]
        : statement;
      const name = named && ts.getNameOfDeclaration(named as ts.Declaration);
      if (name && ts.isIdentifier(name)) return { file, node: statement, name: name.text };
    }
    return undefined;
  }

  /** The files that other files of the index import. */
  importedFiles(): ReadonlySet<string> {
    const imported = new Set<string>();
    for (const [file, { statements }] of this.files) {
      for (const { moduleSpecifier } of statements.filter(ts.isImportDeclaration)) {
        const { text } = moduleSpecifier as ts.StringLiteral;
        if (text.startsWith(".")) imported.add(normalize(join(dirname(file), text)));
      }
    }
    return imported;
  }

  /** All nodes except types. */
  *nodes(): Generator<Place> {
    function* below(file: string, node: ts.Node): Generator<Place> {
      if (ts.isTypeNode(node)) return;
      yield { file, node };
      const children: ts.Node[] = [];
      ts.forEachChild(node, (child) => void children.push(child));
      for (const child of children) yield* below(file, child);
    }
    for (const [file, tree] of this.files) yield* below(file, tree);
  }

  /** Calls back for each name in a place and in all code that it can reach, except in skipped code. */
  reach(start: Place, onName: (name: ts.Identifier) => void, skip?: (node: ts.Node) => boolean) {
    const seen = new Set<ts.Node>();
    const walk = ({ file, node }: Place): void => {
      if (seen.has(node) || ts.isTypeNode(node) || ts.isImportDeclaration(node)) return;
      seen.add(node);
      if (skip?.(node)) return;
      if (ts.isIdentifier(node)) {
        onName(node);
        this.#definitionsOf(file, node).forEach(walk);
      }
      // A nested function is reached where its name is used, not where it is defined.
      ts.forEachChild(node, (child) => {
        if (!isLocalFunction(child)) walk({ file, node: child });
      });
    };
    walk(start);
  }

  #definitionsOf(file: string, name: ts.Identifier): readonly Place[] {
    const declaration = this.#symbolOf(name)?.declarations?.[0];
    if (declaration && ts.isImportSpecifier(declaration)) {
      const from = importedFrom(file, declaration);
      const found = from && this.#exported(from.file, from.name);
      return found ? [found] : [];
    }
    const isCode = declaration && !ts.isParameter(declaration) && !isSignature(declaration);
    if (isCode && !ts.isBindingElement(declaration)) return [{ file, node: declaration }];
    const { parent } = name;
    const isMember = ts.isPropertyAccessExpression(parent) && parent.name === name;
    const isTaken = declaration !== undefined && ts.isBindingElement(declaration);
    return isMember || isTaken ? (this.#members.get(name.text) ?? []) : [];
  }

  #symbolOf(name: ts.Identifier): ts.Symbol | undefined {
    return ts.isShorthandPropertyAssignment(name.parent)
      ? this.#checker.getShorthandAssignmentValueSymbol(name.parent)
      : this.#checker.getSymbolAtLocation(name);
  }

  #exported(file: string, name: string): Place | undefined {
    const tree = this.files.get(file);
    const module = tree && this.#checker.getSymbolAtLocation(tree);
    const node = module?.exports?.get(ts.escapeLeadingUnderscores(name))?.declarations?.[0];
    return node && { file, node };
  }
}

const isLocalFunction = (node: ts.Node): boolean =>
  ts.isFunctionDeclaration(node) ||
  (ts.isVariableDeclaration(node) &&
    node.initializer !== undefined &&
    ts.isFunctionLike(node.initializer));

const isSignature = (node: ts.Node): boolean =>
  ts.isMethodSignature(node) || ts.isPropertySignature(node);
