//! The public verbs of streams: one text and one implementation for all types.
//!
//! Each macro writes methods into the `impl` block of a public type whose field `connection` is a
//! name of its connection. The examples are the same too: a type says how to make a pair of which
//! `writer` is written and `reader` is read, in a function that is async, and with which fence its
//! examples begin, for those of a terminal cannot run.

/// Writes the methods of the macros that are named.
macro_rules! methods {
    ($fence:literal, $pair:literal, $($methods:ident),+) => {
        $($methods!($fence, $pair);)+
    };
}

/// The verbs of the side that reads.
macro_rules! read_methods {
    ($fence:literal, $pair:literal) => {
        /// Calls `f` with what arrives: `Ok` with the bytes, `Ok(&[])` once at the end, `Err` once
        /// when the stream fails.
        ///
        /// The bytes are in a buffer that all streams of the loop share, 64 KiB long, and are gone
        /// when the callback returns. Starting again replaces the callback. After the end or an
        /// error the callback is released; started again after the end, it is told the end again.
        /// In one poll phase a stream gets at most 8 buffers, so that other handles are served.
        ///
        /// On a closed stream the callback gets an error, later.
        ///
        /// # Examples
        #[doc = $fence]
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     reader.read_start(|_, chunk| match chunk {
        ///         Ok([]) => println!("the end"),
        ///         Ok(bytes) => assert_eq!(bytes, b"hello"),
        ///         Err(error) => eprintln!("{error}"),
        ///     });
        ///     writer.write(b"hello").await?;
        ///     writer.shutdown().await
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        #[track_caller]
        pub fn read_start(&self, f: impl FnMut(&Self, std::io::Result<&[u8]>) + 'static) {
            self.connection.start_reading(Box::new(f));
        }

        /// Stops calling back at once, also from inside the callback, and drops it. What arrives
        /// stays in the system until reading starts again, also when the stream fails meanwhile.
        ///
        /// # Examples
        #[doc = $fence]
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     reader.read_start(|_, _| unreachable!("it was stopped before anything came"));
        ///     reader.read_stop();
        ///     writer.write(b"hello").await?;
        ///     let mut buffer = [0; 16];
        ///     assert_eq!(reader.read(&mut buffer).await?, 5);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn read_stop(&self) {
            self.connection.stop_reading();
        }

        /// Reads once into a buffer. The output is the number of bytes, 0 at the end.
        ///
        /// Dropping the future loses nothing, and other tasks that wait go on waiting. Do not use
        /// it while a read callback is registered: each of them would get a part.
        ///
        /// # Errors
        /// The stream's; not-connected when it was closed.
        ///
        /// # Examples
        #[doc = $fence]
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     writer.write(b"hello").await?;
        ///     let mut buffer = [0; 16];
        ///     let count = reader.read(&mut buffer).await?;
        ///     assert_eq!(&buffer[..count], b"hello");
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn read<'a>(&'a self, buffer: &'a mut [u8]) -> crate::stream::Read<'a> {
            crate::stream::Read::new(&**self.connection, buffer)
        }

        /// Reads into `buffer`, or keeps the task's waker until that is possible. One task can wait
        /// so: a later one takes the place of the one before. Those in [`read`](Self::read) wait
        /// beside it.
        ///
        /// # Errors
        /// As [`read`](Self::read).
        ///
        /// # Examples
        #[doc = $fence]
        /// use std::future::poll_fn;
        ///
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     writer.write(b"hello").await?;
        ///     let mut buffer = [0; 16];
        ///     let count = poll_fn(|cx| reader.poll_read(cx, &mut buffer)).await?;
        ///     assert_eq!(&buffer[..count], b"hello");
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn poll_read(
            &self,
            cx: &mut std::task::Context<'_>,
            buffer: &mut [u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            self.connection.poll_read(self.connection.reading.tasks.poller(), cx, buffer)
        }

        /// Reads what has come, at most as much as `buffer` takes: how many bytes, 0 at the end. It
        /// does not wait.
        ///
        /// # Errors
        /// Would-block when nothing has come; else as [`read`](Self::read).
        ///
        /// # Examples
        #[doc = $fence]
        /// use std::io::ErrorKind;
        ///
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     let mut buffer = [0; 16];
        ///     let nothing = reader.try_read(&mut buffer).unwrap_err();
        ///     assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        ///     # drop(writer);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn try_read(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.connection.try_read(buffer)
        }

        /// Whether reading makes sense: not after a failure or a close. The end of the stream alone
        /// does not change it.
        ///
        /// # Examples
        #[doc = $fence]
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     assert!(reader.is_readable());
        ///     reader.close();
        ///     assert!(!reader.is_readable());
        ///     # drop(writer);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn is_readable(&self) -> bool {
            self.connection.can_read()
        }
    };
}

/// The verbs of the side that writes.
macro_rules! write_methods {
    ($fence:literal, $pair:literal) => {
        /// Writes bytes, in the order of the calls. The request completes when the system has taken
        /// them.
        ///
        /// What the system takes at once needs no memory; the rest is copied to the queue. The
        /// request can be cancelled until the first byte has gone. When the request is dropped, an
        /// error goes to the reader, behind what has arrived: to the read callback or the task that
        /// reads, also to one that has paused, when it reads again. On a stream that was never
        /// read, or whose end was read, it is logged and the stream closes.
        ///
        /// # Errors
        /// Broken-pipe after a shutdown or when the peer is gone, a cancelled error when the stream
        /// is closed before the bytes have gone; not-connected when it was closed before the call,
        /// as what has no end but its close is once its shutdown is done.
        ///
        /// # Examples
        #[doc = $fence]
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     drop(writer.write(b"first, ")); // It goes all the same.
        ///     writer.write(b"second").await?;
        ///     let mut buffer = [0; 16];
        ///     let count = reader.read(&mut buffer).await?;
        ///     assert!(b"first, second".starts_with(&buffer[..count]));
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        #[track_caller]
        pub fn write(&self, data: &[u8]) -> crate::Request<std::io::Result<()>> {
            let at = crate::trace::label::here();
            self.connection.write(at, crate::stream::operations::Data::Borrowed(data))
        }

        /// As [`write`](Self::write), but what is not taken at once is kept and not copied.
        ///
        /// # Examples
        #[doc = $fence]
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     writer.write_owned(format!("{} and {}", 1, 2)).await?;
        ///     let mut buffer = [0; 16];
        ///     assert_eq!(reader.read(&mut buffer).await?, 7);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        #[track_caller]
        pub fn write_owned(&self, data: impl Into<Vec<u8>>) -> crate::Request<std::io::Result<()>> {
            let at = crate::trace::label::here();
            self.connection.write(at, crate::stream::operations::Data::Owned(data.into()))
        }

        /// Writes several buffers as one, with as few calls as the system allows. Otherwise as
        /// [`write`](Self::write).
        ///
        /// # Examples
        #[doc = $fence]
        /// use std::io::IoSlice;
        ///
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     writer.write_vectored(&[IoSlice::new(b"head"), IoSlice::new(b"tail")]).await?;
        ///     let mut buffer = [0; 16];
        ///     assert_eq!(reader.read(&mut buffer).await?, 8);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        #[track_caller]
        pub fn write_vectored(
            &self,
            data: &[std::io::IoSlice<'_>],
        ) -> crate::Request<std::io::Result<()>> {
            self.connection.write_vectored(crate::trace::label::here(), data)
        }

        /// Writes what the system takes of `data` at this moment: how many bytes. What does not fit
        /// is not queued.
        ///
        /// # Errors
        /// Would-block when nothing fits, or other writes are queued; else as
        /// [`write`](Self::write), and nobody else is told.
        ///
        /// # Examples
        #[doc = $fence]
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     assert_eq!(writer.try_write(b"hello")?, 5);
        ///     let mut buffer = [0; 16];
        ///     assert_eq!(reader.read(&mut buffer).await?, 5);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn try_write(&self, data: &[u8]) -> std::io::Result<usize> {
            self.connection.try_write(data)
        }

        /// Bytes that were written and that the system has not taken. A sender that minds
        /// back-pressure waits for its last request while this is large.
        ///
        /// # Examples
        #[doc = $fence]
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     let request = writer.write(b"hello");
        ///     request.await?;
        ///     assert_eq!(writer.write_queue_size(), 0);
        ///     # drop(reader);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn write_queue_size(&self) -> usize {
            self.connection.writing.queued_bytes()
        }

        /// Sends the end of the stream after all queued writes. Reading goes on, where there is
        /// something to read.
        ///
        /// # Errors
        /// Not-connected when a shutdown was requested before or the stream is closed or gone.
        ///
        /// # Examples
        #[doc = $fence]
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     writer.shutdown().await?;
        ///     let mut buffer = [0; 16];
        ///     assert_eq!(reader.read(&mut buffer).await?, 0);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        #[track_caller]
        pub fn shutdown(&self) -> crate::Request<std::io::Result<()>> {
            self.connection.shutdown(crate::trace::label::here())
        }

        /// Writes what the system takes of `data`, or keeps the task's waker until it takes some.
        /// Queued writes go first. One task can wait so, or for
        /// [`poll_shutdown`](Self::poll_shutdown): a later one takes the place of the one before.
        ///
        /// # Errors
        /// As [`write`](Self::write).
        ///
        /// # Examples
        #[doc = $fence]
        /// use std::future::poll_fn;
        ///
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     assert_eq!(poll_fn(|cx| writer.poll_write(cx, b"hello")).await?, 5);
        ///     let mut buffer = [0; 16];
        ///     assert_eq!(reader.read(&mut buffer).await?, 5);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn poll_write(
            &self,
            cx: &mut std::task::Context<'_>,
            data: &[u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            self.connection.poll_write(cx, data)
        }

        /// As [`poll_write`](Self::poll_write), of several buffers as one: how many bytes of them
        /// in all.
        ///
        /// # Errors
        /// As [`write`](Self::write).
        ///
        /// # Examples
        #[doc = $fence]
        /// use std::future::poll_fn;
        /// use std::io::IoSlice;
        ///
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     let parts = [IoSlice::new(b"head"), IoSlice::new(b"tail")];
        ///     assert_eq!(poll_fn(|cx| writer.poll_write_vectored(cx, &parts)).await?, 8);
        ///     # drop(reader);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn poll_write_vectored(
            &self,
            cx: &mut std::task::Context<'_>,
            data: &[std::io::IoSlice<'_>],
        ) -> std::task::Poll<std::io::Result<usize>> {
            self.connection.poll_write_vectored(cx, data)
        }

        /// Sends the end of the stream, once all queued writes have gone. Ready at once when that
        /// is done already.
        ///
        /// # Errors
        /// Not-connected when the stream is closed or gone.
        ///
        /// # Examples
        #[doc = $fence]
        /// use std::future::poll_fn;
        ///
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     poll_fn(|cx| writer.poll_shutdown(cx)).await?;
        ///     let mut buffer = [0; 16];
        ///     assert_eq!(reader.read(&mut buffer).await?, 0);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn poll_shutdown(
            &self,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            self.connection.poll_shutdown(cx)
        }

        /// Ready when nothing is queued any more. One task can wait so, or for the other functions
        /// that poll this side.
        ///
        /// # Errors
        /// Not-connected when the stream is closed.
        ///
        /// # Examples
        #[doc = $fence]
        /// use std::future::poll_fn;
        ///
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     drop(writer.write(b"hello"));
        ///     poll_fn(|cx| writer.poll_flush(cx)).await?;
        ///     assert_eq!(writer.write_queue_size(), 0);
        ///     # drop(reader);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn poll_flush(
            &self,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            self.connection.poll_flush(cx)
        }

        /// Whether writing makes sense: not after a shutdown was requested, a failure or a close.
        ///
        /// # Examples
        #[doc = $fence]
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     assert!(writer.is_writable());
        ///     drop(writer.shutdown());
        ///     assert!(!writer.is_writable());
        ///     # drop(reader);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn is_writable(&self) -> bool {
            self.connection.can_write()
        }
    };
}

/// What every stream has as a handle.
macro_rules! handle_methods {
    ($fence:literal, $pair:literal) => {
        /// Closes the stream now. Callbacks come no more, except that queued writes and a waiting
        /// shutdown complete with a cancelled error, in the close phase, before
        /// [`on_close`](Self::on_close)'s callback. Closing again does nothing.
        ///
        /// # Examples
        #[doc = $fence]
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     reader.close();
        ///     writer.close();
        ///     assert!(reader.is_closing() && writer.is_closing());
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn close(&self) {
            self.connection.close();
        }

        /// Calls `f` in the close phase after the stream was closed, by [`close`](Self::close) or
        /// by itself. Replaces the callback given before. It does not count as a callback that
        /// keeps the stream. Of handles closed in one iteration the one closed last is told first.
        ///
        /// # Examples
        #[doc = $fence]
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     reader.on_close(|| println!("the reader is closed"));
        ///     writer.on_close(|| println!("the writer is closed"));
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        #[track_caller]
        pub fn on_close(&self, f: impl FnOnce() + 'static) {
            self.connection.on_close(Box::new(f));
        }

        crate::state::references::ref_methods!("stream"; connection.registration);

        /// Whether the stream was closed.
        pub fn is_closing(&self) -> bool {
            !self.connection.is_open()
        }
    };
}

/// What a stream hears of its peer without reading: of one that has both directions.
macro_rules! peer_methods {
    ($fence:literal, $pair:literal) => {
        /// Calls `f` once, when the peer has gone for good: it has reset the connection, both
        /// directions have ended, or a write has failed whose request was dropped and the
        /// connection therefore closes by itself. It needs no reader.
        ///
        /// The end of what the peer sends is no hang-up where the peer may still read: that is for
        /// [`on_read_closed`](Self::on_read_closed).
        ///
        /// When the peer has gone already, `f` is called too: later, never from inside this call.
        /// Bytes that came before can be read then and afterwards; a read callback gets them all
        /// first, and the end or the error after them. A later call replaces `f`, which is then
        /// dropped uncalled; so it is when this side closes the connection or hands it on, or the
        /// last name of one without a reader is dropped, and at the end of the loop. On a closed
        /// connection it is dropped at once.
        ///
        /// A peer whose machine or network fails without a word is not heard of: send something
        /// from time to time, and a write fails.
        ///
        /// # Liveness
        /// It does not count as a callback that keeps the connection, nor does it keep the loop
        /// alive.
        ///
        /// # Examples
        #[doc = $fence]
        /// use std::time::Duration;
        ///
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     let answer = windlass::spawn(windlass::time::sleep(Duration::from_secs(3600)));
        ///     writer.on_hang_up(move || answer.abort()); // Nobody is left to answer.
        ///     drop(reader);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        #[track_caller]
        pub fn on_hang_up(&self, f: impl FnOnce() + 'static) {
            self.connection.on_peer_end(crate::stream::ending::PeerEnd::HangUp, Box::new(f));
        }

        /// Calls `f` once, when the peer sends no more: it has shut down its side, closed the
        /// connection or reset it. It needs no reader, and bytes that came before stay where they
        /// are.
        ///
        /// The peer may still read: it may have shut down only its own side after its last request.
        /// TCP does not say which until something is written to a peer that has closed. A server
        /// that takes a client that will send no more for one that has left, as Node's HTTP server
        /// does, cancels its work here; others wait for [`on_hang_up`](Self::on_hang_up), which
        /// over TCP an orderly close by the peer alone does not bring about.
        ///
        /// All else is as for `on_hang_up`. When both are reached at once, this one is called
        /// first.
        ///
        /// # Examples
        #[doc = $fence]
        /// use std::time::Duration;
        ///
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     let answer = windlass::spawn(windlass::time::sleep(Duration::from_secs(3600)));
        ///     writer.on_read_closed(move || answer.abort());
        ///     drop(reader); // A peer that is killed sends the end too.
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        #[track_caller]
        pub fn on_read_closed(&self, f: impl FnOnce() + 'static) {
            self.connection.on_peer_end(crate::stream::ending::PeerEnd::ReadClosed, Box::new(f));
        }
    };
}

/// What only sockets have.
macro_rules! socket_methods {
    ($fence:literal, $pair:literal) => {
        /// Looks at what has come, which stays to be read: how many bytes of it are in `buffer`, 0
        /// at the end. Or keeps the task's waker until something has come, in the place of
        /// [`poll_read`](Self::poll_read).
        ///
        /// # Errors
        /// As [`read`](Self::read).
        ///
        /// # Examples
        #[doc = $fence]
        /// use std::future::poll_fn;
        ///
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     writer.write(b"hello").await?;
        ///     let mut buffer = [0; 16];
        ///     assert_eq!(poll_fn(|cx| reader.poll_peek(cx, &mut buffer)).await?, 5);
        ///     assert_eq!(reader.read(&mut buffer).await?, 5);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn poll_peek(
            &self,
            cx: &mut std::task::Context<'_>,
            buffer: &mut [u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            self.connection.poll_peek(cx, buffer)
        }

        /// The two directions, owned apart. Dropping the half that writes sends the end of the
        /// stream; the stream closes when both are gone, and what was written has.
        ///
        /// A clone of the stream does as well where that is not wanted.
        ///
        /// # Examples
        #[doc = $fence]
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     let (_, half) = writer.into_split();
        ///     drop(half.write(b"all"));
        ///     drop(half);
        ///     let mut buffer = [0; 16];
        ///     assert_eq!(reader.read(&mut buffer).await?, 3);
        ///     assert_eq!(reader.read(&mut buffer).await?, 0);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn into_split(self) -> (crate::stream::ReadHalf<Self>, crate::stream::WriteHalf<Self>) {
            crate::stream::halves::split(self)
        }
    };
}

/// Has a public type be a [`Readable`](super::Readable), by its methods of the same names.
macro_rules! impl_readable {
    ($stream:ty) => {
        impl crate::stream::sealed::Reads for $stream {}
        impl crate::stream::Readable for $stream {
            #[track_caller]
            fn read_start(&self, f: impl FnMut(&Self, std::io::Result<&[u8]>) + 'static) {
                Self::read_start(self, f);
            }

            fn read_stop(&self) {
                Self::read_stop(self);
            }

            fn read<'a>(&'a self, buffer: &'a mut [u8]) -> crate::stream::Read<'a> {
                Self::read(self, buffer)
            }

            fn poll_read(
                &self,
                cx: &mut std::task::Context<'_>,
                buffer: &mut [u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                Self::poll_read(self, cx, buffer)
            }

            fn is_readable(&self) -> bool {
                Self::is_readable(self)
            }

            fn close(&self) {
                Self::close(self);
            }
        }
    };
}

/// Has a public type be a [`Writable`](super::Writable), by its methods of the same names.
macro_rules! impl_writable {
    ($stream:ty) => {
        impl crate::stream::sealed::Writes for $stream {
            fn failing(&self) -> impl Future<Output = std::io::Error> {
                crate::stream::Failing::new(&**self.connection)
            }
        }
        impl crate::stream::Writable for $stream {
            #[track_caller]
            fn write(&self, data: &[u8]) -> crate::Request<std::io::Result<()>> {
                Self::write(self, data)
            }

            #[track_caller]
            fn write_owned(&self, data: impl Into<Vec<u8>>) -> crate::Request<std::io::Result<()>> {
                Self::write_owned(self, data)
            }

            fn write_queue_size(&self) -> usize {
                Self::write_queue_size(self)
            }

            #[track_caller]
            fn shutdown(&self) -> crate::Request<std::io::Result<()>> {
                Self::shutdown(self)
            }

            fn poll_write(
                &self,
                cx: &mut std::task::Context<'_>,
                data: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                Self::poll_write(self, cx, data)
            }

            fn poll_write_vectored(
                &self,
                cx: &mut std::task::Context<'_>,
                data: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                Self::poll_write_vectored(self, cx, data)
            }

            fn poll_flush(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                Self::poll_flush(self, cx)
            }

            fn poll_shutdown(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                Self::poll_shutdown(self, cx)
            }

            fn is_writable(&self) -> bool {
                Self::is_writable(self)
            }

            fn close(&self) {
                Self::close(self);
            }
        }
    };
}

pub(crate) use {
    handle_methods, impl_readable, impl_writable, methods, peer_methods, read_methods,
    socket_methods, write_methods,
};
