"""What training on sequences of different lengths costs: layouts of a batch, torch's packed LSTM, segments."""
