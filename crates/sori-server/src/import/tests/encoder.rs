//! Writes a `mosquitto.db` of any version, as a broker of that time on a 64-bit little-endian machine would, or with
//! the widths and the byte order of another machine.

/// Where the brokers of one format version differ.
#[derive(Copy, Clone)]
pub(super) struct Machine {
    pub(super) big_endian: bool,
    /// Bytes in a `time_t`, which stands in the files up to version 4.
    pub(super) time_width: usize,
    /// What a C struct is rounded up to.
    pub(super) alignment: usize,
}

const USUAL: Machine = Machine { big_endian: false, time_width: 8, alignment: 8 };

pub(super) struct Encoder {
    pub(super) bytes: Vec<u8>,
    version: u32,
    machine: Machine,
    /// Where chunks begin, and where the last one ends.
    pub(super) boundaries: Vec<usize>,
}

/// The values of a client message chunk.
#[derive(Copy, Clone)]
pub(super) struct Delivery<'a> {
    pub(super) client_id: &'a str,
    pub(super) message: u64,
    pub(super) packet_id: u16,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) dup: bool,
    pub(super) direction: u8,
    pub(super) state: u8,
    /// With their length; since version 5.
    pub(super) properties: &'a [u8],
}

impl Encoder {
    pub(super) fn new(version: u32) -> Self {
        Self::of(version, USUAL)
    }

    pub(super) fn of(version: u32, machine: Machine) -> Self {
        let mut bytes = b"\x00\xB5\x00mosquitto db\0\0\0\0".to_vec();
        bytes.extend(version.to_be_bytes());
        let boundaries = vec![bytes.len()];
        Self { bytes, version, machine, boundaries }
    }

    pub(super) fn is_struct(&self) -> bool {
        self.version >= 5
    }

    pub(super) fn chunk(&mut self, kind: u16, body: &[u8]) {
        if self.is_struct() {
            self.bytes.extend(u32::from(kind).to_be_bytes());
        } else {
            self.bytes.extend(kind.to_be_bytes());
        }
        self.bytes.extend((body.len() as u32).to_be_bytes());
        self.bytes.extend(body);
        self.boundaries.push(self.bytes.len());
    }

    fn own(&self, value: u64) -> [u8; 8] {
        if self.machine.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn padded(&self, mut body: Vec<u8>) -> Vec<u8> {
        body.resize(body.len().next_multiple_of(self.machine.alignment), 0xAA);
        body
    }

    pub(super) fn configuration(&mut self, store_id_width: u8) {
        let last = self.own(99);
        let body = if self.is_struct() {
            self.padded([&last[..], &[1, store_id_width]].concat())
        } else {
            [&[1, store_id_width], &last[..]].concat()
        };
        self.chunk(1, &body);
    }

    pub(super) fn message(&mut self, id: u64, topic: &[u8], payload: &[u8], qos: u8, retain: bool) {
        self.message_with(id, topic, payload, qos, retain, 0, &[]);
    }

    /// `expires` and `properties` are written since version 5.
    #[expect(clippy::too_many_arguments, reason = "a chunk has that many fields")]
    pub(super) fn message_with(
        &mut self,
        id: u64,
        topic: &[u8],
        payload: &[u8],
        qos: u8,
        retain: bool,
        expires: u64,
        properties: &[u8],
    ) {
        let id = self.own(id);
        let payload_length = (payload.len() as u32).to_be_bytes();
        let topic_length = (topic.len() as u16).to_be_bytes();
        let flags = [qos, retain.into()];
        let mut body = id.to_vec();
        if self.is_struct() {
            body.extend(self.own(expires));
            body.extend(payload_length);
            body.extend([0, 7, 0, 4, 0, 3]);
            body.extend(topic_length);
            body.extend([0x07, 0x5B]);
            body.extend(flags);
            body.extend(b"fromann");
            body.extend(topic);
            body.extend(payload);
            body.extend(properties);
        } else {
            body.extend(b"\x00\x04from");
            if self.version == 4 {
                body.extend(b"\x00\x03ann\x07\x5B");
            }
            body.extend([0, 7, 0, 0]);
            body.extend(topic_length);
            body.extend(topic);
            body.extend(flags);
            body.extend(payload_length);
            body.extend(payload);
        }
        self.chunk(2, &body);
    }

    pub(super) fn delivery(&mut self, delivery: Delivery<'_>) {
        let Delivery { client_id, message, packet_id, qos, retain, dup, direction, state, properties } = delivery;
        let client_id_length = (client_id.len() as u16).to_be_bytes();
        let (message, packet_id) = (self.own(message), packet_id.to_be_bytes());
        let body = if self.is_struct() {
            let flags = [qos, state, u8::from(retain) << 4 | u8::from(dup), direction];
            [&message, &packet_id[..], &client_id_length, &flags, client_id.as_bytes(), properties].concat()
        } else {
            let flags = [qos, retain.into(), direction, state, dup.into()];
            [&client_id_length, client_id.as_bytes(), &message, &packet_id, &flags].concat()
        };
        self.chunk(3, &body);
    }

    pub(super) fn retained(&mut self, id: u64) {
        let id = self.own(id);
        self.chunk(4, &id);
    }

    pub(super) fn subscription(&mut self, client_id: &str, filter: &[u8], options: u8, identifier: u32) {
        let client_id_length = (client_id.len() as u16).to_be_bytes();
        let filter_length = (filter.len() as u16).to_be_bytes();
        let body = if self.is_struct() {
            let flags = [options & 3, options & !3, 0xAA, 0xAA];
            let head = [&identifier.to_be_bytes()[..], &client_id_length, &filter_length, &flags].concat();
            [&head, client_id.as_bytes(), filter].concat()
        } else {
            [&client_id_length, client_id.as_bytes(), &filter_length, filter, &[options & 3]].concat()
        };
        self.chunk(5, &body);
    }

    /// `moment` is when the session ends since version 5, and when the client left before.
    pub(super) fn client(&mut self, client_id: &str, user_name: &str, last_packet_id: u16, expiry: u32, moment: u64) {
        let client_id_length = (client_id.len() as u16).to_be_bytes();
        let last_packet_id = last_packet_id.to_be_bytes();
        let moment = self.own(moment);
        let mut body;
        if self.is_struct() {
            body = [&moment[..], &expiry.to_be_bytes(), &last_packet_id, &client_id_length].concat();
            if self.version >= 6 {
                body.extend([0x07, 0x5B]);
                body.extend((user_name.len() as u16).to_be_bytes());
                body = self.padded(body);
            }
            body.extend(client_id.as_bytes());
            body.extend(if self.version >= 6 { user_name.as_bytes() } else { &[] });
        } else {
            body = [&client_id_length, client_id.as_bytes(), &last_packet_id].concat();
            let width = if self.version >= 3 { self.machine.time_width } else { 0 };
            body.extend(&moment[..width]);
        }
        self.chunk(6, &body);
    }
}
