/** Dialogs: a form with its fields' errors, and confirmations that name what they do. */
import { Modal, TextInput } from '@mantine/core';
import { type FormEvent, type ReactNode, useState } from 'react';
import { type FieldError, ProblemError } from '@/api/client';
import { Action } from './action';

export interface FormDialogProps {
  title: string;
  open: boolean;
  close: () => void;
  /** What the button says. */
  verb: string;
  tone?: 'primary' | 'danger';
  refusal?: string | null;
  size?: number;
  submit: () => Promise<unknown>;
  children: (fault: (field: string) => string | undefined) => ReactNode;
}

export function FormDialog(props: FormDialogProps) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const faults: FieldError[] = error instanceof ProblemError ? error.errors : [];
  const send = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await props.submit();
      props.close();
    } catch (caught) {
      setError(caught);
    } finally {
      setBusy(false);
    }
  };
  const close = () => {
    setError(null);
    props.close();
  };
  return (
    <Modal
      opened={props.open}
      onClose={close}
      title={props.title}
      size={props.size ?? 480}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <form onSubmit={(event) => void send(event)} style={{ display: 'grid', gap: 12 }}>
        {props.children((field) => faults.find((f) => f.field === field || f.field.startsWith(`${field}.`))?.message)}
        {error !== null && (
          <div className="problem" role="alert">
            {error instanceof ProblemError ? error.detail || error.title : String(error)}
          </div>
        )}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Action onClick={close}>Cancel</Action>
          <Action type="submit" tone={props.tone ?? 'primary'} busy={busy} refusal={props.refusal}>
            {props.verb}
          </Action>
        </div>
      </form>
    </Modal>
  );
}

/** For acts that cannot be taken back: the object's name has to be typed. */
export function ConfirmDialog(props: {
  title: string;
  open: boolean;
  close: () => void;
  verb: string;
  name?: string;
  submit: () => Promise<unknown>;
  children: ReactNode;
}) {
  const [typed, setTyped] = useState('');
  const wrong = props.name !== undefined && typed !== props.name;
  return (
    <FormDialog
      title={props.title}
      open={props.open}
      close={() => {
        setTyped('');
        props.close();
      }}
      verb={props.verb}
      tone="danger"
      refusal={wrong ? `Type ${props.name} to confirm.` : null}
      submit={props.submit}
    >
      {() => (
        <>
          <div>{props.children}</div>
          {props.name !== undefined && (
            <TextInput
              label={
                <>
                  Type <span className="mono text">{props.name}</span> to confirm
                </>
              }
              value={typed}
              onChange={(event) => setTyped(event.currentTarget.value)}
              data-autofocus
            />
          )}
        </>
      )}
    </FormDialog>
  );
}
