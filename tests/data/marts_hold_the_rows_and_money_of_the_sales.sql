-- If this fails, a mart has lost, multiplied or changed sales; nothing may be
-- published.
{%- set relations = [
    ('fct_sales', 'sales_month', 'count(*)', 'total_cost'),
    ('customer_sales', 'sales_month', 'count(*)', 'total_cost'),
    ('sales_team_sales', 'sales_month', 'count(*)', 'total_cost'),
    ('customers_data_mart', 'sales_date_month', 'sum(sales_count)', 'total_sales'),
    ('sales_team_data_mart', 'sales_month', 'sum(sales_count)', 'total_sales'),
    ('rpt_sales_by_product_and_month', 'sales_month', 'sum(sales_count)', 'total_sales'),
] %}

with

totals as (
    {% for name, month, rows_sum, amount in relations %}
    select
        '{{ name }}' as relation,
        {{ month }} as sales_month,
        {{ rows_sum }} as sales_count,
        sum({{ amount }}) as total_sales
    from {{ ref(name) }}
    where {{ is_in_touched_month(month) }}
    group by {{ month }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}

)

select
    sales_month,
    sort_array(
        collect_list(concat(relation, ': ', sales_count, ' rows, ', total_sales))
    ) as totals_found

from totals

group by sales_month

having
    count(*) <> {{ relations | length }}
    or min(sales_count) <> max(sales_count)
    or min(total_sales) <> max(total_sales)
