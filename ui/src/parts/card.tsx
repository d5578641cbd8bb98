/** A card ends where its content ends; a page opens with the answer. */
import { Link } from '@tanstack/react-router';
import { createContext, Fragment, type ReactNode, useContext, useEffect, useId, useRef, useState } from 'react';
import { createPortal } from 'react-dom';

/** The place at the right of a card's header where its content may put a word. */
const Slot = createContext<HTMLElement | null>(null);

/** Puts its children into the header of the card around it; in place when there is none. */
export function InHeader({ children }: { children: ReactNode }) {
  const slot = useContext(Slot);
  return slot ? createPortal(children, slot) : <div className="bar">{children}</div>;
}

export function Card(props: {
  title: ReactNode;
  aside?: ReactNode;
  children: ReactNode;
  flush?: boolean;
  className?: string;
}) {
  const id = useId();
  const [slot, setSlot] = useState<HTMLElement | null>(null);
  return (
    <section className={`card ${props.className ?? ''}`} aria-labelledby={id}>
      <header>
        <h2 id={id}>{props.title}</h2>
        <span className="row">
          <span ref={setSlot} className="row muted num small" style={{ display: 'contents' }} />
          {props.aside !== undefined && <span className="muted num">{props.aside}</span>}
        </span>
      </header>
      <Slot value={slot}>{props.flush ? props.children : <div className="body">{props.children}</div>}</Slot>
    </section>
  );
}

export interface HeadlineProps {
  /** Where one is: names and addresses, from the outside in. */
  crumbs?: { text: string; href?: string; mono?: boolean }[];
  /** One sentence about the state of the world. */
  title: ReactNode;
  /** For the browser's tab. */
  tab: string;
  lede?: ReactNode;
  facts?: ReactNode;
  actions?: ReactNode;
}

export function Headline({ crumbs, title, tab, lede, facts, actions }: HeadlineProps) {
  useEffect(() => {
    document.title = `${tab} · Mainstay`;
  }, [tab]);
  return (
    <>
      {crumbs && (
        <nav className="crumbs" aria-label="Breadcrumb">
          {crumbs.map((crumb, i) => (
            <Fragment key={crumb.text}>
              {i > 0 && <span aria-hidden="true">/</span>}
              {crumb.href ? (
                <Link to={crumb.href}>{crumb.text}</Link>
              ) : (
                <span className={crumb.mono ? 'mono' : 'cut'}>{crumb.text}</span>
              )}
            </Fragment>
          ))}
        </nav>
      )}
      <div className="head">
        <div>
          <h1>{title}</h1>
          {lede && <p className="lede">{lede}</p>}
          {facts && <div className="facts">{facts}</div>}
        </div>
        {actions && <div className="row wrap">{actions}</div>}
      </div>
    </>
  );
}

export function Tabs({ tabs, current }: { tabs: { id: string; text: string; count?: number }[]; current: string }) {
  const bar = useRef<HTMLElement>(null);
  // Where there is no room for all of them, the one that is open is in sight.
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is the change of the tab that matters
  useEffect(() => {
    const on = bar.current?.querySelector<HTMLElement>('[data-on]');
    if (bar.current && on) bar.current.scrollLeft = on.offsetLeft - (bar.current.clientWidth - on.offsetWidth) / 2;
  }, [current]);
  return (
    <nav className="tabs" aria-label="Sections" ref={bar}>
      {tabs.map((tab) => (
        <Link
          key={tab.id}
          to="."
          search={(old: Record<string, unknown>) => ({ ...old, tab: tab === tabs[0] ? undefined : tab.id })}
          activeOptions={{ exact: true, includeSearch: true, explicitUndefined: true }}
          data-on={tab.id === current || undefined}
        >
          {tab.text}
          {tab.count !== undefined && <span className="faint num"> {tab.count}</span>}
        </Link>
      ))}
    </nav>
  );
}

export function Meter({ ratio, status, label }: { ratio: number; status?: 'warning' | 'critical'; label: string }) {
  const share = Math.max(0, Math.min(1, ratio));
  return (
    <div
      className={`meter ${status ?? ''}`}
      role="meter"
      aria-label={label}
      aria-valuenow={Math.round(share * 100)}
      aria-valuemin={0}
      aria-valuemax={100}
    >
      <i style={{ width: `${share * 100}%` }} />
    </div>
  );
}

export function Chips({ values }: { values: string[] }) {
  return (
    <span className="chips">
      {values.map((value) => (
        <span key={value} className="chip">
          {value}
        </span>
      ))}
    </span>
  );
}
