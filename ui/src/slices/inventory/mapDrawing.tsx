/** The map as SVG: boxes by layers, arrows between; a chosen box lights up what depends on it. */
import { type CSSProperties, type KeyboardEvent, useMemo } from 'react';
import type { Status } from '@/api/types';
import { middle, plural } from '@/parts/number';
import { Shape, WORD } from '@/parts/status';
import { type Arrow, upstream } from './layout';
import { draw, keyOf, SIZE } from './place';

export interface MapBox {
  id: string;
  name: string;
  sub: string;
  status: Status;
  /** The item behind it, when there is exactly one. */
  item: string | null;
}

interface Props {
  boxes: MapBox[];
  arrows: (Arrow & { count: number })[];
  chosen: string;
  choose: (id: string) => void;
  open: (box: MapBox) => void;
}

function Tip({ id, color }: { id: string; color: string }) {
  return (
    <marker
      id={id}
      viewBox="0 0 8 8"
      refX="7"
      refY="4"
      markerUnits="userSpaceOnUse"
      markerWidth="8"
      markerHeight="8"
      orient="auto"
    >
      <path d="M0 .8 8 4 0 7.2z" fill={color} />
    </marker>
  );
}

export function MapDrawing({ boxes, arrows, chosen, choose, open }: Props) {
  const drawing = useMemo(() => draw(boxes, arrows), [boxes, arrows]);
  const lit = useMemo(
    () => (chosen && boxes.some((b) => b.id === chosen) ? upstream(chosen, arrows) : null),
    [chosen, boxes, arrows],
  );
  const isLit = (arrow: Arrow) => Boolean(lit?.has(arrow.from) && lit.has(arrow.to));
  // What is lit is drawn last, above the others.
  const inOrder = [...arrows].sort((a, b) => Number(isLit(a)) - Number(isLit(b)));
  const press = (event: KeyboardEvent, box: MapBox) => {
    if (event.key === 'Enter') open(box);
    else if (event.key === ' ') choose(box.id);
    else return;
    event.preventDefault();
  };
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard */}
      <section className="map" tabIndex={0} aria-label="Map of services">
        <svg
          viewBox={`0 0 ${drawing.width} ${drawing.height}`}
          style={{ '--drawn': `${drawing.width}px` } as CSSProperties}
        >
          <title>{`${boxes.length} nodes and the connections between them`}</title>
          <defs>
            <Tip id="tip" color="var(--edge)" />
            <Tip id="tip-on" color="var(--accent)" />
          </defs>
          {inOrder.map((arrow) => {
            const on = isLit(arrow);
            return (
              <path
                key={keyOf(arrow)}
                d={drawing.routes.get(keyOf(arrow))}
                fill="none"
                stroke={on ? 'var(--accent)' : 'var(--edge)'}
                strokeWidth={on ? 1.8 : 1.2}
                opacity={lit && !on ? 0.3 : 1}
                markerEnd={on ? 'url(#tip-on)' : 'url(#tip)'}
              />
            );
          })}
          {boxes.map((box) => {
            const place = drawing.places.get(box.id);
            if (!place) return null;
            const ill = box.status === 'critical' || box.status === 'warning';
            const dim = lit !== null && !lit.has(box.id);
            return (
              <g
                key={box.id}
                transform={`translate(${place.x} ${place.y})`}
                role="button"
                tabIndex={0}
                aria-pressed={box.id === chosen}
                aria-label={`${box.name}, ${box.sub}, ${WORD[box.status]}`}
                onClick={() => choose(box.id)}
                onDoubleClick={() => open(box)}
                onKeyDown={(event) => press(event, box)}
                style={{ cursor: 'pointer' }}
                opacity={dim ? 0.4 : 1}
              >
                <rect
                  width={SIZE.width}
                  height={SIZE.height}
                  rx="7"
                  fill={ill ? `var(--${box.status}-soft)` : 'var(--surface)'}
                  stroke={box.id === chosen ? 'var(--accent)' : ill ? `var(--${box.status})` : 'var(--line-strong)'}
                  strokeWidth={box.id === chosen ? 2 : 1}
                />
                <g transform="translate(12 12)" style={{ color: `var(--${box.status})` }}>
                  <Shape status={box.status} />
                </g>
                <text x="29" y="19" style={{ font: '560 12.5px var(--font)', fill: 'var(--text)' }}>
                  {middle(box.name.replace(/\.service$/, ''), 21)}
                </text>
                <text x="29" y="35" style={{ font: '11.5px var(--font)', fill: 'var(--muted)' }}>
                  {middle(box.sub, 24)}
                </text>
              </g>
            );
          })}
        </svg>
      </section>
      <div className="foot row between" style={{ padding: '8px 14px', borderTop: '1px solid var(--line)' }}>
        <span className="muted">
          {lit
            ? `${plural(lit.size - 1, 'dependent')}, direct or indirect`
            : 'Callers left, dependencies right. Enter opens, space selects.'}
        </span>
        {lit && boxes.find((b) => b.id === chosen)?.item && (
          <button
            type="button"
            className="plain link"
            onClick={() => open(boxes.find((b) => b.id === chosen) as MapBox)}
          >
            Details
          </button>
        )}
      </div>
    </>
  );
}
