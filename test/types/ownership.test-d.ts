import type { Arc, ArcHandle, Weak } from '../../src/containers/arc.ts';
import { Arc as ArcClass, Weak as WeakClass } from '../../src/containers/arc.ts';
import { type ArcField, arc, weak } from '../../src/containers/arc-field.ts';
import { Box, type BoxField, type BoxHandle, box } from '../../src/containers/box.ts';
import type { Container } from '../../src/containers/container.ts';
import { Rc } from '../../src/containers/rc.ts';
import type { ContainerStore } from '../../src/containers/store.ts';
import { union } from '../../src/containers/union.ts';
import type { View } from '../../src/structs/inference.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { create, struct } from '../../src/structs/struct.ts';
import type { Equal, Expect } from './expect.ts';

declare const store: ContainerStore;

const Point = struct('Point', { x: f64, y: f64 });
const Circle = struct('Circle', { radius: f64 });
const Square = struct('Square', { side: f64 });
const Node = struct('Node', {
  value: f64,
  get left() {
    return box(Node);
  },
  get form() {
    return union(Circle, Square, Node);
  },
  get common() {
    return arc(Node);
  },
  get parent() {
    return weak(Node);
  },
});
type NodeView = View<typeof Node>;
declare const node: NodeView;

// Fields -----------------------------------------------------------------------------------------------

export type BoxReadsAsAView = Expect<Equal<typeof node.left, NodeView | null>>;
export type ArcReadsAsAView = Expect<Equal<typeof node.common, NodeView | null>>;
export type WeakReadsAsAView = Expect<Equal<typeof node.parent, NodeView | null>>;
export type UnionReadsAsOneOfTheViews = Expect<
  Equal<typeof node.form, View<typeof Circle> | View<typeof Square> | NodeView | null>
>;
export type FieldsNameTheirTarget = Expect<
  Equal<ReturnType<typeof box<typeof Point>>, BoxField<typeof Point>>
>;
export type ArcsNameTheirTarget = Expect<Equal<ReturnType<typeof arc<typeof Point>>, ArcField<typeof Point>>>;
const deep: number | undefined = node.left?.left?.common?.parent?.left?.value;
node.left = node;
node.left = null;
node.set({ left: { value: deep ?? 0, left: { left: null } } });
node.set({ left: Box.create(store, Node), common: ArcClass.create(store, Node, { common: node }) });
node.set({ parent: ArcClass.create(store, Node).downgrade() });
node.set({ form: { type: Circle, init: { radius: 1 } } });
node.set({ form: { type: Node, init: { form: { type: Square } } } });
node.set({ form: Box.create(store, Square), left: node });
create(Node, store, { left: { form: { type: Circle, init: { radius: 2 } } } });
// @ts-expect-error: a Box of Point is no Box of Node
node.set({ left: Box.create(store, Point) });
// @ts-expect-error: a Box is no Arc
node.set({ common: Box.create(store, Node) });
// @ts-expect-error: Point is not one of the types
node.set({ form: { type: Point, init: { x: 1 } } });
// @ts-expect-error: a Circle has no side
node.set({ form: { type: Circle, init: { side: 1 } } });
// @ts-expect-error: Node has no colour
node.set({ left: { colour: 1 } });
// @ts-expect-error: a struct is wanted
box(f64);
// @ts-expect-error: a struct is wanted
union(Circle, u32);
// @ts-expect-error: one type or more
union();

// Which of a union -------------------------------------------------------------------------------------

export function area(form: typeof node.form): number {
  if (form === null) return 0;
  if (Circle.is(form)) return form.radius;
  if (Node.is(form)) return form.value;
  return form.side;
}

// Owners -----------------------------------------------------------------------------------------------

const point = Box.create(store, Point, { x: 1 });
export type BoxesInferTheirType = Expect<Equal<typeof point, Box<typeof Point>>>;
export type ValuesAreViews = Expect<Equal<typeof point.value, View<typeof Point>>>;
const handle = point.move();
export type HandlesKeepTheType = Expect<Equal<typeof handle, BoxHandle<typeof Point>>>;
const opened = Box.open(store, handle);
export type OpenInfersFromTheHandle = Expect<Equal<typeof opened, Box<typeof Point>>>;
declare const foreign: BoxHandle;
const typed = Box.open(store, foreign, Point);
export type OpenInfersFromTheType = Expect<Equal<typeof typed, Box<typeof Point>>>;
// biome-ignore lint/suspicious/noExplicitAny: as messages are
declare const message: { readonly box: any };
const loose = Box.open(store, message.box, Node);
export type OpenTakesWhatCameByMessage = Expect<Equal<typeof loose, Box<typeof Node>>>;
// @ts-expect-error: Point has no z
Box.create(store, Point, { z: 1 });
// @ts-expect-error: an Arc's handle is no Box's
Box.open(store, ArcClass.create(store, Point).move());
// @ts-expect-error: there is no handle that leaves the Box its own
const noHandle: object = point.handle.kind;
export const unused: unknown = noHandle;

const left = Box.take(node, 'left');
export type TakeGivesABox = Expect<Equal<typeof left, Box<typeof Node> | null>>;
const form = Box.take(node, 'form');
export type TakeGivesOneOfTheBoxes = Expect<
  Equal<typeof form, Box<typeof Circle> | Box<typeof Square> | Box<typeof Node> | null>
>;
const common = ArcClass.take(node, 'common');
export type TakeGivesAnArc = Expect<Equal<typeof common, Arc<typeof Node> | null>>;
const another = ArcClass.clone(node, 'common');
export type CloneGivesAnArc = Expect<Equal<typeof another, Arc<typeof Node> | null>>;
const parent = WeakClass.upgrade(node, 'parent');
export type UpgradeGivesAnArc = Expect<Equal<typeof parent, Arc<typeof Node> | null>>;
// @ts-expect-error: not an owning field
Box.take(node, 'value');
// @ts-expect-error: an arc is no box
Box.take(node, 'common');

const shared = ArcClass.create(store, Node);
export type ArcsInferTheirType = Expect<Equal<typeof shared.value, NodeView>>;
export type DowngradeGivesAWeak = Expect<Equal<ReturnType<typeof shared.downgrade>, Weak<typeof Node>>>;
const arcHandle: ArcHandle<typeof Node> = shared.clone().move();
const again = ArcClass.open(store, arcHandle);
export type ArcOpenInfers = Expect<Equal<typeof again, Arc<typeof Node>>>;
declare const map: Container & { readonly size: number };
const ofMap = ArcClass.of(store, map);
export type ArcsOfContainersGiveThem = Expect<Equal<typeof ofMap.value, typeof map>>;
declare const MapType: { at(store: ContainerStore, address: number): { get(key: string): number } };
const openedMap = ArcClass.open(store, ofMap.move(), MapType);
export const found: number = openedMap.value.get('key');

const rc = Rc.create(store, Node, { value: 1 });
export type RcsInferTheirType = Expect<Equal<typeof rc.value, NodeView>>;
export const upgraded: number | undefined = rc.downgrade().upgrade()?.value.value;
