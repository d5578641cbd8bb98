/** Buttons that say what they do, and, when they may not be used, why. */
import { Button, Tooltip } from '@mantine/core';
import type { ReactNode } from 'react';
import { useRefusal } from '@/api/session';

export interface ActionProps {
  children: ReactNode;
  onClick?: () => void;
  tone?: 'primary' | 'danger' | 'quiet';
  type?: 'button' | 'submit';
  busy?: boolean;
  /** Why it cannot be used now. */
  refusal?: string | null;
  /** The key that does the same. */
  keys?: string;
  hint?: string;
  label?: string;
}

export function Action({ children, onClick, tone, type = 'button', busy, refusal, keys, hint, label }: ActionProps) {
  const text = refusal ?? (keys ? `${hint ?? ''} key ${keys}`.trim() : hint);
  const button = (
    <Button
      type={type}
      data-tone={tone}
      loading={busy}
      data-disabled={refusal ? true : undefined}
      aria-disabled={refusal ? true : undefined}
      aria-label={label}
      onClick={(event) => {
        if (refusal) event.preventDefault();
        else onClick?.();
      }}
    >
      {children}
    </Button>
  );
  return text ? <Tooltip label={text}>{button}</Tooltip> : button;
}

/** An action behind a permission: shown disabled, with the reason, to those who lack it. */
export function Guarded({ permission, refusal, ...props }: ActionProps & { permission: string }) {
  const missing = useRefusal(permission);
  return <Action {...props} refusal={missing ?? refusal} />;
}
