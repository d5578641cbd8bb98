/** A warning where links would lead nowhere: the server's public address is one of its own machine. */
import { useQuery } from '@tanstack/react-query';
import { addressQuery } from '@/api/platform';
import { StatusBadge } from './status';

/** What the page is opened at is what others may reach as well, unless it is a loopback address too. */
export function suggestion(origin: string): string {
  const host = new URL(origin).hostname.replace(/^\[|\]$/g, '');
  const isLocal = /^(127\.|::1$|0\.0\.0\.0$)/.test(host) || host === 'localhost' || host.endsWith('.localhost');
  return isLocal ? 'https://mainstay.example.org' : origin;
}

export function PublicUrlWarning({ what }: { what: string }) {
  const address = useQuery(addressQuery).data;
  if (!address?.is_loopback) return null;
  return (
    <div className="problem warning" role="status">
      <StatusBadge status="warning">
        <span className="break" style={{ whiteSpace: 'normal' }}>
          {what} use {address.public_url}, which other machines cannot reach
        </span>
      </StatusBadge>
      <span className="muted">
        Set the public URL in mainstay.toml (or <span className="mono">--public-url</span>) to an address that other
        machines reach, let the server listen there (<span className="mono">listen = "0.0.0.0:8600"</span> or a proxy),
        and restart it:
      </span>
      <pre className="code">{`[server]\npublic_url = "${suggestion(window.location.origin)}"`}</pre>
    </div>
  );
}
