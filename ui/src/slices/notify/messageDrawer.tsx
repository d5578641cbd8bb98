/** One message as it went out, and how that went. */
import { Drawer } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { Message } from '@/api/notify';
import { Ago } from '@/parts/ago';
import { plural } from '@/parts/number';
import { StatusBadge } from '@/parts/status';
import { messageStatus } from './messageStatus';

interface Props {
  message: Message | null;
  channel: string;
  close: () => void;
}

export function MessageDrawer({ message, channel, close }: Props) {
  return (
    <Drawer
      opened={message !== null}
      onClose={close}
      position="right"
      size={460}
      title="Message"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      {message && (
        <div style={{ padding: '14px 16px', display: 'grid', gap: 10 }}>
          <h3 style={{ fontSize: 16 }} className="break">
            {message.title}
          </h3>
          <div className="facts" style={{ marginTop: 0 }}>
            <StatusBadge status={messageStatus(message).status} pill>
              {messageStatus(message).word}
            </StatusBadge>
            <span>by {channel || 'a deleted channel'}</span>
            {message.target && <span className="break">to {message.target}</span>}
            <span>{plural(message.attempts, 'attempt')}</span>
            <span>
              created <Ago at={message.created_at} />
            </span>
            {message.state === 'waiting' && message.next_attempt_at && (
              <span>
                next attempt <Ago at={message.next_attempt_at} />
              </span>
            )}
          </div>
          {message.error && <p className="problem break">{message.error}</p>}
          <pre className="code">{message.text}</pre>
          {message.url_path && (
            <Link to={message.url_path} className="link">
              Open subject
            </Link>
          )}
        </div>
      )}
    </Drawer>
  );
}
