/** The quiet frame of the pages before the sign-in. */
import { type ReactNode, useEffect } from 'react';

export function Frame({ title, lede, children }: { title: string; lede: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Mainstay`;
  }, [title]);
  return (
    <main
      style={{ minHeight: '100vh', display: 'grid', placeItems: 'start center', padding: 'min(14vh, 140px) 16px 48px' }}
    >
      <div style={{ width: '100%', maxWidth: 380 }}>
        <div className="brand" style={{ padding: '0 0 18px' }}>
          <svg
            width="22"
            height="22"
            viewBox="0 0 20 20"
            fill="none"
            stroke="var(--accent)"
            strokeWidth="1.8"
            strokeLinecap="round"
            strokeLinejoin="round"
            aria-hidden="true"
          >
            <path d="M10 2v16M10 3 3 17h14zM6.2 11h7.6" />
          </svg>
          Mainstay
        </div>
        <h1>{title}</h1>
        <p className="lede">{lede}</p>
        <div className="card below" style={{ padding: 16 }}>
          {children}
        </div>
      </div>
    </main>
  );
}
