-- If this fails, a mart has lost, multiplied or changed sales; nothing may be
-- published. Where another line, there twice, makes up for a lost one in rows and
-- money, the xor of the lines' hashes tells: of as many rows, it is the same only if
-- each line is there once, as the test of its key says of fct_sales.
{%- set of_lines = (
    'count(*)', 'total_cost', 'bit_xor(xxhash64(file_id, line_number))'
) %}
{%- set of_sums = ('sum(sales_count)', 'total_sales', 'cast(null as bigint)') %}
{%- set relations = [
    ('fct_sales', 'sales_month', of_lines),
    ('customer_sales', 'sales_month', of_lines),
    ('sales_team_sales', 'sales_month', of_lines),
    ('customers_data_mart', 'sales_date_month', of_sums),
    ('sales_team_data_mart', 'sales_month', of_sums),
    ('rpt_sales_by_product_and_month', 'sales_month', of_sums),
] %}

with

totals as (
    {% for name, month, (rows_sum, amount, lines_xor) in relations %}
    select
        '{{ name }}' as relation,
        {{ month }} as sales_month,
        {{ rows_sum }} as sales_count,
        sum({{ amount }}) as total_sales,
        {{ lines_xor }} as lines_xor
    from {{ ref(name) }}
    where {{ is_in_touched_month(month) }}
    group by {{ month }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}

)

select
    sales_month,
    sort_array(
        collect_list(
            concat(
                relation, ': ', sales_count, ' rows, ', total_sales,
                coalesce(concat(', lines ', hex(lines_xor)), '')
            )
        )
    ) as totals_found

from totals

group by sales_month

having
    count(*) <> {{ relations | length }}
    or min(sales_count) <> max(sales_count)
    or min(total_sales) <> max(total_sales)
    or min(lines_xor) <> max(lines_xor)
